"""Attempts without a cluster: launchers of this machine play the pods, and the operator judges what they left."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from faults.case import Case
from faults.record import Found, Target
from finetune_api.names import training_pod_labels, training_pod_name
from finetune_operator.attempts import judge
from finetune_operator.observed import NodeState, Observed
from finetune_operator.seen_pod import seen_pod

_UID: Final = "00000000-0000-0000-0000-000000000000"
_POLL: Final = 0.02

Body = dict[str, Any]


def target(case: Case, rank: int, step: int = 0) -> Target:
    """Return who is struck; each pod is on a node of its own."""
    pod = rank // case.shape.processes
    return Target(rank, step, training_pod_name(case.name, 0, pod), node_of(pod))


def node_of(pod: int) -> str:
    """Return the node of a pod."""
    return f"node-{pod + 1}"


@dataclass(frozen=True)
class End:
    """How a launcher ended."""

    code: int
    """As Python tells it: negative for a signal."""
    at: float


def ends_of(processes: Sequence["subprocess.Popen[str]"], seconds: float) -> list[End]:
    """Wait for the launchers and return how and when each ended; AssertionError when one does not."""
    deadline, ends = time.monotonic() + seconds, dict[int, End]()
    while len(ends) < len(processes):
        for number, process in enumerate(processes):
            if number not in ends and (code := process.poll()) is not None:
                ends[number] = End(code, time.time())
        assert time.monotonic() < deadline, f"only {sorted(ends)} of {len(processes)} launchers ended"
        time.sleep(_POLL)
    return [ends[number] for number in sorted(ends)]


def ended_pod(case: Case, pod: int, ended: End, words: Path, *, deleted: bool = False) -> Body:
    """Return what the API server would tell of a pod whose launcher ended so and left its last words in a file."""
    said = words.read_text(encoding="utf-8") if words.exists() else ""
    code = 128 - ended.code if ended.code < 0 else ended.code
    at = datetime.fromtimestamp(ended.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    end = {"exitCode": code, "reason": "Error" if code else "Completed", "message": said, "finishedAt": at}
    deletion = {"deletionTimestamp": at} if deleted else {}
    return {
        "metadata": {
            "name": training_pod_name(case.name, 0, pod),
            "uid": f"pod-{pod}",
            "labels": training_pod_labels(case.name, _UID, 0, pod),
            **deletion,
        },
        "spec": {"nodeName": node_of(pod)},
        "status": {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "trainer", "state": {"terminated": end}}],
        },
    }


def found(case: Case, bodies: list[Body]) -> Found:
    """Return how the operator names the cause of an attempt whose pods ended so."""
    pods = [pod for body in bodies if (pod := seen_pod(body)) is not None]
    nodes: Mapping[str, NodeState] = {node_of(number): NodeState.READY for number in range(len(bodies))}
    verdict = judge(pods, (), Observed(pods=tuple(pods), nodes=nodes), case.shape.nodes)
    assert verdict is not None, bodies
    failure = verdict.failure(case.shape.processes)
    return Found(
        outcome=str(verdict.outcome),
        reason=verdict.reason,
        rank=failure.rank,
        pod=failure.pod,
        node=failure.node,
        exit_code=failure.exit_code,
        text=f"{failure.message}\n{failure.traceback or ''}",
    )
