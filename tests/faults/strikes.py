"""Faults that come from outside of the ranks, what is done once their outcome is told, and how they are mended."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cluster.kubectl import KubectlFailed
from faults import hosts
from faults.scene import Scene
from finetune_api.names import JOB_NAME_LABEL

_SIGNAL: Final = """
import os, pathlib, sys, time
who, number = sys.argv[1], int(sys.argv[2])
(folder,) = pathlib.Path("/scratch").glob("run-*")
ranks = sorted(folder.glob("pid.[0-9]*"))
pid = int((ranks[0] if who == "agent" else folder / f"pid.{who}").read_text())
if who == "agent":
    pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
print(time.time(), flush=True)
os.kill(pid, number)
"""

Act = Callable[[Scene], None]


def _nothing(scene: Scene) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Strike:
    """A fault."""

    hit: Act
    then: Act = _nothing
    """Done as soon as the outcome of the struck attempt is told."""
    heal: Act = _nothing
    """Done at the end, whatever happened."""


def _send(scene: Scene, who: str, number: signal.Signals) -> None:
    command = ("exec", scene.pod(), "-c", "trainer", "--", "python", "-c", _SIGNAL, who, str(int(number)))
    scene.struck_at = time.time()
    with contextlib.suppress(KubectlFailed):  # with the container's first process its others are killed, also this one
        scene.struck_at = float(scene.site.space.kubectl(*command))


def _kill(who: str) -> Act:
    return lambda scene: _send(scene, who, signal.SIGKILL)


def _kill_rank(scene: Scene) -> None:
    _send(scene, str(scene.rank), signal.SIGKILL)


def _ask_launcher(scene: Scene) -> None:
    _send(scene, "launcher", signal.SIGTERM)


def _delete(*how: str) -> Act:
    return lambda scene: _say(scene, "delete", "pod", scene.pod(), "--wait=false", *how)


def _say(scene: Scene, *words: str) -> None:
    scene.site.space.kubectl(*words)


_BY_FORCE: Final = ("--force", "--grace-period=0")


def _evict(scene: Scene) -> None:
    path = f"/api/v1/namespaces/{scene.site.space.namespace}/pods/{scene.pod()}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": scene.pod()}}
    scene.site.space.kubectl("create", "--raw", path, "-f", "-", stdin=body)


def _kill_preparation(scene: Scene) -> None:
    _say(scene, "delete", "pod", f"{scene.name}-prepare", "--wait=false", *_BY_FORCE)


def _kill_operator_and_rank(scene: Scene) -> None:
    hosts.kill_in_pods("finetune_operator")
    _kill_rank(scene)


def _policy(**fields: object) -> Act:
    patch = json.dumps({"spec": {"runPolicy": fields}})
    return lambda scene: _say(scene, "patch", "finetunejob", scene.name, "--type=merge", "-p", patch)


def _stop_node(scene: Scene) -> None:
    scene.site.struck_node.stop_abruptly()


def _delete_node(scene: Scene) -> None:
    _stop_node(scene)
    _say(scene, "delete", "node", scene.site.struck_node.name)


def _restart_node(scene: Scene) -> None:
    """The node is back before anybody has missed it, and has forgotten what ran on it."""
    scene.site.struck_node.stop_abruptly()
    scene.site.struck_node.start()


def _start_node(scene: Scene) -> None:
    if not scene.site.struck_node.running:
        scene.site.struck_node.start()
    scene.site.struck_node.wait_ready()


def _cut_off(scene: Scene) -> None:
    hosts.cut_off(scene.site.struck_node, scene.site.machine.control_plane.port)


def _reconnect(scene: Scene) -> None:
    hosts.reconnect(scene.site.struck_node)
    scene.site.struck_node.wait_ready()


def _fill(scene: Scene) -> None:
    for size in (1 << 16, 1 << 9):  # to the last block
        with contextlib.suppress(OSError), (scene.output.parent / "full").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(size))


def _empty(scene: Scene) -> None:
    (scene.output.parent / "full").unlink(missing_ok=True)


def _damage(change: Callable[[bytes], bytes]) -> Act:
    def damage(scene: Scene) -> None:
        largest = max(_files(scene.checkpoints()[-1]), key=lambda file: file.stat().st_size)
        largest.write_bytes(change(largest.read_bytes()))
        _kill_rank(scene)

    return damage


def _files(folder: Path) -> Iterable[Path]:
    return [file for file in folder.iterdir() if file.name.startswith("__")]


def _changed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _create_again(scene: Scene) -> None:
    _say(scene, "delete", "finetunejob", scene.name, "--cascade=foreground", "--timeout=90s")
    scene.struck_at = time.time()
    scene.apply()


def _resume_from_first(scene: Scene) -> None:
    first = next(one.body["metadata"] for one in scene.history.happenings if one.body["kind"] == "FinetuneJob")
    _say(scene, "delete", "finetunejob", scene.name, "--cascade=foreground", "--timeout=90s")
    scene.job["spec"]["output"]["resumeFrom"] = first["uid"]
    scene.apply()


def _wipe_status(scene: Scene) -> None:
    """Leave of the job what a backup has: no status, and no pods that could tell."""
    _say(scene, "delete", "pods", f"--selector={JOB_NAME_LABEL}={scene.name}", "--timeout=60s")
    patch = '[{"op": "remove", "path": "/status"}]'
    command = ("patch", "finetunejob", scene.name, "--subresource=status", "--type=json", "-p", patch, "-o", "json")
    wiped: dict[str, Any] = json.loads(scene.site.space.kubectl(*command))
    scene.since = int(wiped["metadata"]["resourceVersion"])


def _block(*rules: tuple[str, ...], until_told: bool = False) -> Strike:
    def unblock(scene: Scene) -> None:
        hosts.unblock(rules)

    mended = {"then": unblock} if until_told else {}
    return Strike(lambda scene: hosts.block(rules), heal=unblock, **mended)


_PODS_THERE: Final = "10.244.2.0/24"
_PODS_HERE: Final = "10.244.1.0/24"
_MASTER: Final = ("-p", "tcp", "--dport", "29500")

STRIKES: Final[Mapping[str, Strike]] = MappingProxyType(
    {
        "": Strike(_nothing),
        "kill_rank": Strike(_kill_rank),
        "kill_agent": Strike(_kill("agent")),
        "kill_launcher": Strike(_kill("launcher")),
        "delete_pod_by_force": Strike(_delete(*_BY_FORCE)),
        "delete_pod": Strike(_delete()),
        "delete_pod_and_go": Strike(_delete()),
        "evict_pod": Strike(_evict),
        "ask_launcher_to_leave": Strike(_ask_launcher),
        "suspend": Strike(_policy(suspend=True), then=_policy(suspend=False)),
        "shorten_deadline": Strike(_policy(activeDeadlineSeconds=1)),
        "stop_node": Strike(_stop_node, heal=_start_node),
        "restart_node": Strike(_restart_node, heal=_start_node),
        "delete_node": Strike(_delete_node, heal=_start_node),
        "cut_off_kubelet": Strike(_cut_off, heal=_reconnect),
        "block_names": _block(
            ("INPUT", "-s", _PODS_THERE, "-p", "udp", "--dport", "53"),
            ("INPUT", "-s", _PODS_THERE, "-p", "tcp", "--dport", "53"),
        ),
        "block_port": _block(
            ("FORWARD", "-s", _PODS_THERE, "-d", _PODS_HERE, *_MASTER),
            ("FORWARD", "-s", _PODS_HERE, "-d", _PODS_THERE, *_MASTER),
            until_told=True,  # of two nodes that cannot talk either may be at fault, and there is no third
        ),
        "fill_disk": Strike(_fill, then=_empty, heal=_empty),
        "truncate_checkpoint": Strike(_damage(lambda content: content[: len(content) // 2])),
        "corrupt_checkpoint": Strike(_damage(_changed)),
        "kill_operator_and_rank": Strike(_kill_operator_and_rank),
        "kill_preparation": Strike(_kill_preparation),
        "create_again": Strike(_create_again, then=_resume_from_first),
        "wipe_status": Strike(_wipe_status),
    }
)
"""By the names that cases give them."""
