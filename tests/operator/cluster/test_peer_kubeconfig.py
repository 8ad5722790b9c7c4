"""Our reading of kubeconfigs is that of the official Python client, on files of every kind that both can read."""

import json
from pathlib import Path
from typing import Any

import pytest

kubernetes = pytest.importorskip("kubernetes")

from finetune_operator.cluster.kubeconfig import log_in  # noqa: E402

USERS: dict[str, dict[str, Any]] = {
    "token": {"token": "secret"},
    "password": {"username": "somebody", "password": "password"},
    "nobody": {},
    "file": {"tokenFile": "token.txt"},
    "plugin": {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin.sh",
            "interactiveMode": "Never",
        }
    },
}
PLUGIN = """#!/bin/sh
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "from-plugin"}}'
"""


def write(directory: Path, user: str) -> Path:
    (directory / "token.txt").write_text("from-file", encoding="utf-8")
    (directory / "plugin.sh").write_text(PLUGIN, encoding="utf-8")
    (directory / "plugin.sh").chmod(0o755)
    contexts = [{"name": name, "context": {"cluster": "c", "user": name}} for name in USERS]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": user,
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:8080/"}}],
        "users": [{"name": name, "user": entry} for name, entry in USERS.items()],
        "contexts": contexts,
    }
    path = directory / "config"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("chosen", [None, "token"])
def test_server_and_authorization_are_the_same(tmp_path: Path, user: str, chosen: str | None) -> None:
    path = write(tmp_path, user)
    theirs = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(path), context=chosen, client_configuration=theirs)
    ours = log_in(path, chosen)
    assert ours.server == theirs.host.rstrip("/")
    assert ours.authorization() == theirs.api_key.get("BearerToken")
