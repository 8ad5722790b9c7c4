"""The table of ends: what the pods of an attempt say about it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_api.reasons import PEER_DRAINED, AttemptOutcome
from finetune_operator import attempts
from finetune_operator.attempts import Verdict, judge, missing_pod
from finetune_operator.observed import NodeState, Observed
from finetune_operator.seen_pod import SeenPod, Wait

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(rank: int = 0, phase: str = "Running", **facts: object) -> SeenPod:
    """A pod of attempt 0, on a node of its own."""
    fields = {"attempt": 0, "node": f"node-{rank}", "uid": str(rank), **facts}
    return SeenPod(name=f"arc-0-{rank}", rank=rank, phase=phase, **fields)  # type: ignore[arg-type]


def told(outcome: Outcome, rank: int = 0, seconds: int = 0, **facts: object) -> SeenPod:
    """A pod that left with last words, so many seconds after noon."""
    message = TerminationMessage.model_validate({"outcome": outcome, "message": f"node {rank} said so", **facts})
    finished = NOON + timedelta(seconds=seconds)
    phase = "Failed" if message.exit_code else "Succeeded"
    return pod(rank, phase, message=message, exit_code=message.exit_code, finished=finished)


def verdict(*pods: SeenPod, nodes: dict[str, NodeState] | None = None) -> Verdict | None:
    """What the table says of an attempt of these pods."""
    return judge(pods, (), Observed(pods=pods, nodes=nodes), len(pods))


def outcome(*pods: SeenPod, nodes: dict[str, NodeState] | None = None) -> tuple[AttemptOutcome, str]:
    """What an ended attempt of these pods counts as, and why."""
    found = verdict(*pods, nodes=nodes)
    assert found is not None
    return found.outcome, found.reason


def _oom(ended: SeenPod) -> SeenPod:
    """The same when its container had reached the bound of its memory."""
    return replace(ended, reason="OOMKilled")


def _no_dns(rank: int) -> SeenPod:
    """A pod whose node misses what all nodes share."""
    left = told(Outcome.RETRYABLE, rank, reason="PreflightFailed")
    return replace(left, told=json.dumps({"suspects": [rank]}))


READY = {"node-0": NodeState.READY, "node-1": NodeState.READY}

TABLE = [
    ("all succeeded", [told(Outcome.SUCCEEDED), told(Outcome.SUCCEEDED, 1)], "Succeeded", "Succeeded"),
    ("succeeded silently", [pod(0, "Succeeded"), pod(1, "Succeeded")], "Succeeded", "Succeeded"),
    ("a user's mistake", [told(Outcome.DATASET_INVALID), pod(1)], "UserFailure", "DatasetInvalid"),
    ("a user's mistake by exit code", [pod(0, "Failed", exit_code=7), pod(1)], "UserFailure", "Diverged"),
    ("a user's mistake while drained", [replace(told(Outcome.DIVERGED), deleting=True)], "UserFailure", "Diverged"),
    ("try again", [told(Outcome.RETRYABLE), pod(1)], "Failure", "Retryable"),
    ("an exception", [told(Outcome.CRASHED, traceback="boom"), pod(1)], "Failure", "Crashed"),
    ("a signal", [pod(0, "Failed", exit_code=139), pod(1)], "Failure", "Crashed"),
    ("out of memory", [pod(0, "Failed", exit_code=137, reason="OOMKilled"), pod(1)], "Failure", "OutOfMemory"),
    ("silent", [told(Outcome.CRASHED, reason="Hang"), pod(1)], "Hang", "Hang"),
    ("drained", [replace(told(Outcome.PREEMPTED), deleting=True), pod(1)], "Disruption", "Removed"),
    ("drained, unseen", [told(Outcome.PREEMPTED), pod(1)], "Disruption", "Drained"),
    ("143 without a reason", [pod(0, "Failed", exit_code=143), pod(1)], "Failure", "Crashed"),
    ("143 beside a drain", [pod(0, "Failed", exit_code=143), pod(1, deleting=True)], "Disruption", "Drained"),
    ("a peer of a drained pod", [told(Outcome.RETRYABLE), pod(1, deleting=True)], "Disruption", "PeerRemoved"),
    ("evicted", [pod(0, "Failed", reason="Evicted"), pod(1)], "Disruption", "Removed"),
    (
        "reboot, by the kubelet",
        [pod(0, "Failed", exit_code=137, reason="ContainerStatusUnknown"), pod(1)],
        "Disruption",
        "Removed",
    ),
    (
        "reboot, by containerd",
        [pod(0, "Failed", exit_code=255, reason="Unknown"), pod(1)],
        "Disruption",
        "Removed",
    ),
    ("255 of a process", [pod(0, "Failed", exit_code=255, reason="Error"), pod(1)], "Failure", "Crashed"),
    ("rejected", [pod(0, "Failed", reason="OutOfcpu", note="no cpu"), pod(1)], "Disruption", "Rejected"),
    ("no device", [pod(0, "Failed", reason="UnexpectedAdmissionError"), pod(1)], "Disruption", "Rejected"),
    ("labels gone from the node", [pod(0, "Failed", reason="NodeAffinity"), pod(1)], "Disruption", "Rejected"),
    ("node shut down", [pod(0, "Failed", exit_code=143, reason="Terminated"), pod(1)], "Disruption", "Removed"),
    ("preempted", [pod(0, "Failed", exit_code=137, disrupted=True), pod(1)], "Disruption", "Removed"),
    ("75 by exit code", [pod(0, "Failed", exit_code=75), pod(1)], "Failure", "Retryable"),
    ("75 beside a drain, by exit code", [pod(0, "Failed", exit_code=75), pod(1, gone=True)], "Disruption", "Removed"),
    ("a killed child", [told(Outcome.CRASHED, message="rank 0 was killed by SIGKILL"), pod(1)], "Failure", "Crashed"),
    ("a killed child, by the node", [_oom(told(Outcome.CRASHED)), pod(1)], "Failure", "OutOfMemory"),
    ("no memory at the least microbatch", [_oom(told(Outcome.OUT_OF_MEMORY)), pod(1)], "UserFailure", "OutOfMemory"),
    ("a hang", [told(Outcome.RETRYABLE, reason="Hang"), pod(1)], "Hang", "Hang"),
    ("a hang and its echo", [told(Outcome.RETRYABLE), told(Outcome.RETRYABLE, 1, 9, reason="Hang")], "Hang", "Hang"),
    ("a preflight", [told(Outcome.RETRYABLE, reason="PreflightFailed"), pod(1)], "Failure", "PreflightFailed"),
    ("no name servers", [_no_dns(0), _no_dns(1)], "Disruption", "ClusterUnready"),
    ("no name servers for one", [pod(0), _no_dns(1)], "Failure", "PreflightFailed"),
    ("superseded", [told(Outcome.RETRYABLE, reason="Superseded"), pod(1)], "Disruption", "Superseded"),
    ("waited in vain", [told(Outcome.RETRYABLE), pod(1, "Pending")], "Cancelled", "PeersPending"),
    ("waited in vain, and lost", [told(Outcome.RETRYABLE), pod(1, "Pending", gone=True)], "Disruption", "Removed"),
    ("crashed while a peer waits", [pod(0, "Failed", exit_code=1), pod(1, "Pending")], "Failure", "Crashed"),
    ("gone", [pod(0, gone=True), pod(1)], "Disruption", "Removed"),
]


@pytest.mark.parametrize(("pods", "counts", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_end_counts_as_the_table_says(pods: list[SeenPod], counts: str, reason: str) -> None:
    assert outcome(*pods, nodes=READY) == (counts, reason)


@pytest.mark.parametrize(
    "pods",
    [
        [pod(0), pod(1)],
        [pod(0, "Pending"), pod(1)],
        [pod(0, "Pending", wait=Wait("ImageUnavailable", "no such image")), pod(1)],
        [pod(0, "Pending", wait=Wait("Unschedulable", "no node")), pod(1)],
        [told(Outcome.SUCCEEDED), pod(1)],
        [pod(0, deleting=True), pod(1)],
    ],
    ids=["running", "starting", "no image", "no node", "half done", "about to leave"],
)
def test_an_attempt_that_may_still_end_well_has_not_ended(pods: list[SeenPod]) -> None:
    assert verdict(*pods, nodes=READY) is None


@pytest.mark.parametrize("state", [NodeState.NOT_READY, NodeState.OUT_OF_SERVICE, None])
def test_a_pod_on_a_lost_node_ends_its_attempt(state: NodeState | None) -> None:
    nodes = {"node-0": NodeState.READY, **({"node-1": state} if state else {})}
    assert outcome(pod(0), pod(1), nodes=nodes) == (AttemptOutcome.NODE_LOSS, "NodeLost")


def test_a_pod_that_left_no_trace_is_a_disruption() -> None:
    found = judge([pod(0)], [missing_pod("arc-0-1", 0, 1)], Observed(), 2)
    assert found is not None
    assert (found.outcome, found.reason) == (AttemptOutcome.DISRUPTION, "PodMissing")


def test_the_cause_is_the_strongest_then_the_first() -> None:
    echo = told(Outcome.RETRYABLE, 0, 1)
    crash = told(Outcome.CRASHED, 1, 3, traceback="boom")
    later = told(Outcome.CRASHED, 2, 4, traceback="boom")
    found = verdict(echo, later, crash)
    assert found is not None
    assert found.failure().pod == "arc-0-1"
    assert found.message == "node 1 said so"


def test_of_pods_that_left_together_the_one_that_was_asked_is_named() -> None:
    followed = told(Outcome.PREEMPTED, 0, reason=PEER_DRAINED)
    for asked, reason in (
        (told(Outcome.PREEMPTED, 1), "Drained"),
        (replace(followed, name="arc-0-1", deleting=True), "Removed"),
    ):
        found = verdict(followed, asked)
        assert found is not None
        assert (found.outcome, found.reason, found.pod.name) == (AttemptOutcome.DISRUPTION, reason, "arc-0-1")


def test_a_pod_without_words_is_described() -> None:
    found = verdict(pod(0, "Failed", exit_code=137, reason="OOMKilled"), pod(1))
    assert found is not None
    assert found.message == (
        "Pod arc-0-0 on node node-0 ran out of memory: grant more memory, or use a smaller microbatch."
    )


def hung(rank: int, seconds: int, beats: int, frozen: bool = False) -> SeenPod:
    """A pod that says how the slowest of its ranks stood."""
    ended = told(Outcome.RETRYABLE, rank, seconds, reason="Hang", traceback="waits here")
    return replace(ended, told=json.dumps({"hang": {"beats": beats, "frozen": frozen}}))


def test_of_several_that_fell_silent_the_one_that_the_others_wait_for_is_named() -> None:
    behind = verdict(hung(0, 1, 90), hung(1, 9, 88), hung(2, 2, 91))
    frozen = verdict(hung(0, 1, 90), hung(1, 9, 88), hung(2, 20, 91, frozen=True))
    assert behind is not None
    assert frozen is not None
    assert (behind.pod.rank, frozen.pod.rank) == (1, 2)
    assert behind.failure().traceback == "waits here"


def test_a_cause_is_told_with_its_place_and_the_end_of_its_traceback() -> None:
    ended = told(Outcome.CRASHED, 1, step=7, traceback="\n".join(f"line {n}" for n in range(99)))
    assert ended.message is not None
    found = verdict(pod(0), replace(ended, message=ended.message.model_copy(update={"rank": 5})))
    assert found is not None
    cause = found.failure()
    assert cause.where() == "rank 5, pod arc-0-1, node node-1, step 7, exit code 1"
    assert cause.traceback is not None
    assert cause.traceback.splitlines() == [f"line {n}" for n in range(69, 99)]


def test_of_a_pod_without_words_the_rank_is_known_when_it_has_only_one() -> None:
    found = verdict(pod(0), pod(1, "Failed", exit_code=137, reason="OOMKilled"))
    assert found is not None
    assert (found.failure().rank, found.failure(processes=1).rank, found.failure(processes=8).rank) == (None, 1, None)


def test_in_one_second_the_kind_decides_and_then_the_rank() -> None:
    crash, other = told(Outcome.CRASHED, 2, traceback="boom"), told(Outcome.CRASHED, 1, traceback="boom")
    found = verdict(told(Outcome.RETRYABLE, 0), crash, other)
    assert found is not None
    assert found.pod.rank == 1


def test_every_row_of_the_table_has_a_test() -> None:
    shown = {(row[2], row[3]) for row in TABLE} | {("NodeLoss", "NodeLost"), ("Disruption", "PodMissing")}
    assert {(row.outcome, row.reason) for row in attempts.TABLE if row.reason} <= shown


def test_what_crashed_clearly_before_a_rank_fell_silent_is_what_it_waited_for() -> None:
    for apart, reason in ((300, "Crashed"), (10, "Hang"), (-300, "Hang")):
        crash, silent = told(Outcome.CRASHED), told(Outcome.RETRYABLE, 1, apart, reason="Hang")
        assert outcome(crash, silent)[1] == reason
    echo, silent = told(Outcome.RETRYABLE), told(Outcome.RETRYABLE, 1, 300, reason="Hang")
    assert outcome(echo, silent)[1] == "Hang"
