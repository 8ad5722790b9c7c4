"""The faults that a run is struck with, and how soon it should have recovered from each."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from cluster.local.cluster import LocalCluster
from cluster.provider import Cluster
from support.helm_release import RELEASE, SYSTEM
from support.workspace import Workspace

Body = dict[str, Any]
Origin = Literal["fault", "not ready", "operator back"]

STEP_TIMEOUT: Final = 10
"""Seconds, of the run that is to hang."""
_WORKER: Final = "-m finetune_trainer.worker"
OPERATOR: Final = "-m finetune_operator"


@dataclass(frozen=True)
class Scene:
    """A run under way, whose pods are all there."""

    cluster: Cluster
    space: Workspace
    pods: list[Body]
    """By rank."""

    @property
    def victim(self) -> Body:
        """The pod that is struck: the last rank's, so that rank 0 has to notice."""
        return self.pods[-1]


@dataclass(frozen=True)
class Row:
    """One fault."""

    name: str
    strike: Callable[[Scene], float]
    """Strikes, and returns when."""
    seconds: float
    """Within which the run should have recovered, counted from `origin`."""
    bound: str
    """The same in words."""
    origin: Origin = "fault"
    adds_grace: bool = False
    """Whether the pod's own grace comes on top."""
    run_policy: Mapping[str, Any] = field(default_factory=dict)
    for_peer: bool = True
    """Whether the peer can be struck in the same manner."""
    patience: float = 120.0
    """Seconds for which the first step of the next attempt is waited for."""

    def allowance(self, pods: list[Body]) -> float:
        """Return the bound for these pods, in seconds."""
        return self.seconds + (pods[-1]["spec"]["terminationGracePeriodSeconds"] if self.adds_grace else 0.0)


def kill_rank(scene: Scene) -> float:
    """Kill one rank, without a word."""
    return _signal(scene.victim, _WORKER, signal.SIGKILL)


def stop_rank(scene: Scene) -> float:
    """Have one rank do nothing any more."""
    return _signal(scene.victim, _WORKER, signal.SIGSTOP)


def delete_pod(scene: Scene) -> float:
    """Delete one pod as people do."""
    struck = time.monotonic()
    scene.space.kubectl("delete", "pod", scene.victim["metadata"]["name"], "--wait=false")
    return struck


def evict_pod(scene: Scene) -> float:
    """Ask for one pod to leave, as `kubectl drain` does."""
    name, namespace = scene.victim["metadata"]["name"], scene.space.namespace
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    struck = time.monotonic()
    scene.space.kubectl(
        "create", "--raw", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", "-f", "-", stdin=body
    )
    return struck


def stop_node(scene: Scene) -> float:
    """Cut the power of a node on which a rank runs, and the operator does not."""
    assert isinstance(scene.cluster, LocalCluster)
    spared = {pod["spec"]["nodeName"] for pod in operator_pods(scene.space)}
    used = {pod["spec"]["nodeName"] for pod in scene.pods}
    node = next((node for node in scene.cluster.nodes if node.name in used - spared), None)
    if node is None:
        raise RuntimeError(f"the run is on {sorted(used)} and the operator on {sorted(spared)}: no node to stop")
    struck = time.monotonic()
    node.stop_abruptly()
    return struck


def kill_operator_and_rank(scene: Scene) -> float:
    """Kill a rank, and at the same moment the operator."""
    (operator,) = operator_pods(scene.space)
    struck = kill_rank(scene)
    _signal(operator, OPERATOR, signal.SIGKILL)
    return struck


ROWS: Final = (
    Row("rank killed", kill_rank, 5, "5 s"),
    Row("pod deleted", delete_pod, 5, "5 s + its grace", adds_grace=True),
    Row("pod evicted (drain)", evict_pod, 5, "5 s + its grace", adds_grace=True),
    Row(
        "hang",
        stop_rank,
        STEP_TIMEOUT + 5,
        f"stepTimeout {STEP_TIMEOUT} s + 5 s",
        run_policy={"stepTimeoutSeconds": STEP_TIMEOUT},
    ),
    Row(
        "operator killed, rank too",
        kill_operator_and_rank,
        5,
        "5 s after it is back",
        origin="operator back",
        for_peer=False,
    ),
    Row("node dead", stop_node, 20, "20 s after NotReady", origin="not ready", patience=180),
)
LEADER_LOST: Final = "leader lost"
LEADER_SECONDS: Final = 15.0


def operator_pods(space: Workspace) -> list[Body]:
    """Return the operator's pods that run."""
    outside = Workspace(space.kubeconfig, SYSTEM)
    pods = outside.get("pods", **{"app.kubernetes.io/instance": RELEASE})["items"]
    return [pod for pod in pods if pod["status"].get("phase") == "Running" and not _leaves(pod)]


def eldest_of(pod: Body, words: str, proc: Path = Path("/proc")) -> int:
    """Return the process of a pod on this machine with these words in its command line that has started the others.

    A rank's data loaders bear its command line too. Raises LookupError when there is none.
    """
    found = dict(_processes(pod, words, proc))
    for pid, parent in sorted(found.items()):
        if parent not in found:
            return pid
    raise LookupError(f"no process with {words!r} of {pod['metadata']['name']} is on this machine")


def _processes(pod: Body, words: str, proc: Path) -> Iterator[tuple[int, int]]:
    """Yield process and parent; the control group of every process of a pod bears its uid."""
    uid = pod["metadata"]["uid"]
    spellings = (f"pod{uid}", f"pod{uid.replace('-', '_')}")
    for folder in proc.glob("[0-9]*"):
        try:
            groups = (folder / "cgroup").read_text(encoding="utf-8")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            parent = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
        if any(spelling in groups for spelling in spellings) and words in command:
            yield int(folder.name), int(parent)


def _signal(pod: Body, words: str, number: signal.Signals) -> float:
    pid = eldest_of(pod, words)
    struck = time.monotonic()
    os.kill(pid, number)
    return struck


def _leaves(pod: Body) -> bool:
    return "deletionTimestamp" in pod["metadata"]
