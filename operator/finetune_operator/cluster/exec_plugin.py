"""Runs the credential plugin that a kubeconfig names (client.authentication.k8s.io)."""

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any, Final

from finetune_operator.cluster.errors import LoginError

_VERSION: Final = "client.authentication.k8s.io/v1"
_SECONDS: Final = 60.0
_CLUSTER_KEYS: Final = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
)


@dataclass(frozen=True)
class Credential:
    """What a plugin answers: a token, a certificate with its key, or both."""

    token: str | None = None
    certificate: str | None = None
    key: str | None = None


def run_plugin(plugin: dict[str, Any], cluster: dict[str, Any]) -> Credential:
    """Run the plugin; raises LoginError that names it and repeats what it wrote."""
    command = [str(plugin.get("command")), *map(str, plugin.get("args") or [])]
    try:
        done = subprocess.run(
            command, env=_environment(plugin, cluster), capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        hint = plugin.get("installHint")
        raise LoginError(
            f"credential plugin {command[0]} cannot be run: {error}{f'; {hint}' if hint else ''}"
        ) from None
    if done.returncode != 0:
        raise LoginError(f"credential plugin {command[0]} failed with {done.returncode}: {done.stderr.strip()[-500:]}")
    return _credential(done.stdout, command[0])


def _environment(plugin: dict[str, Any], cluster: dict[str, Any]) -> dict[str, str]:
    own = {str(one["name"]): str(one["value"]) for one in plugin.get("env") or []}
    info: dict[str, Any] = {
        "kind": "ExecCredential",
        "apiVersion": plugin.get("apiVersion") or _VERSION,
        "spec": {"interactive": False},
    }
    if plugin.get("provideClusterInfo"):
        info["spec"]["cluster"] = {key: cluster[key] for key in _CLUSTER_KEYS if key in cluster}
    return {**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)}


def _credential(answer: str, command: str) -> Credential:
    try:
        status = json.loads(answer)["status"]
        token, certificate = status.get("token"), status.get("clientCertificateData")
        key = status.get("clientKeyData")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LoginError(f"credential plugin {command} did not answer with an ExecCredential") from None
    if not token and not (certificate and key):
        raise LoginError(f"credential plugin {command} gave neither a token nor a certificate with its key")
    return Credential(token, certificate, key)
