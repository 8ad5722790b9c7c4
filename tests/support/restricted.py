"""Pod Security *restricted*, and what this operator asks beyond it, written down independently of the builders."""

from collections.abc import Iterator
from typing import Any

_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim"}


def breaches(spec: dict[str, Any]) -> Iterator[str]:
    """Yield what a pod spec does that a restricted namespace, or this operator, forbids."""
    if spec.get("automountServiceAccountToken") is not False or spec.get("enableServiceLinks") is not False:
        yield "mounts a token, or learns of Services"
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "uses the host"
    security = spec["securityContext"]
    if not security.get("runAsNonRoot") or security.get("runAsUser") == 0:
        yield "may run as root"
    for volume in spec["volumes"]:
        if not _VOLUMES & volume.keys():
            yield f"volume {volume} is of a forbidden kind"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"] and volume["name"] in ("scratch", "shm"):
            yield f"volume {volume} is unbounded"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        yield from (f"container {container['name']}: {breach}" for breach in _container_breaches(container))
    trainers = [one for one in spec["containers"] if one["name"] in ("trainer", "prepare")]
    for container in trainers:
        yield from _credentials(container)


def _container_breaches(container: dict[str, Any]) -> Iterator[str]:
    security = container.get("securityContext") or {}
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield "may escalate"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if not security.get("readOnlyRootFilesystem") or not security.get("runAsNonRoot"):
        yield "may write its root, or be root"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of the host"


def _credentials(container: dict[str, Any]) -> Iterator[str]:
    if container.get("envFrom") or {"name": "HF_HUB_OFFLINE", "value": "1"} not in container["env"]:
        yield f"container {container['name']} reaches the hub, or holds its token"
