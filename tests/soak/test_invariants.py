"""Each invariant, told a short history that breaks it, and one that does not."""

import itertools
from collections.abc import Iterator
from typing import Any

from finetune_api.names import ATTEMPT_LABEL, JOB_UID_LABEL, RANK_LABEL
from soak.happenings import Body, Happening
from soak.invariants import Checker

_RUNNING = {"number": 0, "nodes": 1, "runningTime": "2026-01-01T00:00:00Z"}


class Telling:
    """Tells a checker what happens, revision by revision."""

    def __init__(self) -> None:
        self.checker = Checker()
        self.broken: list[str] = []
        self._revisions: Iterator[int] = itertools.count(1)
        self._made: set[tuple[str, str]] = set()

    def job(self, *, restarts: int = 0, most: int = 3, conditions: Body | None = None, **status: Any) -> None:
        told = [{"type": kind, "status": "True", "reason": reason} for kind, reason in (conditions or {}).items()]
        body = {"metadata": {"name": "job", "uid": "1"}, "spec": {"runPolicy": {"maxRestarts": most}}}
        self._tell("FinetuneJob", "job", body | {"status": {"restarts": restarts, "conditions": told, **status}})

    def pod(self, name: str = "job-0-0", phase: str = "Running", *, leaving: bool = False, gone: bool = False) -> None:
        attempt, rank = name.split("-")[1:3]
        self._pod(name, name, {ATTEMPT_LABEL: attempt, RANK_LABEL: rank}, phase, leaving, gone)

    def prepare(self, uid: str, *, leaving: bool = False, gone: bool = False) -> None:
        self._pod("job-prepare", uid, {}, "Running", leaving, gone)

    def _pod(self, name: str, uid: str, labels: Body, phase: str, leaving: bool, gone: bool) -> None:
        metadata: Body = {"name": name, "uid": uid, "labels": {JOB_UID_LABEL: "1", **labels}}
        metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
        body = {"metadata": metadata, "spec": {"nodeName": "node"}, "status": {"phase": phase}}
        self._tell("Pod", name, body, gone=gone)

    def node(self, ready: str) -> None:
        status = {"conditions": [{"type": "Ready", "status": ready}]}
        self._tell("Node", "node", {"metadata": {"name": "node"}, "spec": {}, "status": status})

    def event(self, reason: str, message: str, name: str = "a", count: int = 1) -> None:
        about = {"kind": "FinetuneJob", "name": "job", "uid": "1"}
        body = {"metadata": {"name": name}, "involvedObject": about, "reason": reason, "message": message}
        self._tell("Event", name, body | {"series": {"count": count}})

    def _tell(self, kind: str, name: str, body: Body, *, gone: bool = False) -> None:
        created = (kind, name) not in self._made
        (self._made.discard if gone else self._made.add)((kind, name))
        found = self.checker.take(Happening(next(self._revisions), kind, name, body, created and not gone, gone))
        self.broken += [breach.rule for breach in found]


def running() -> Telling:
    """A job whose first attempt runs."""
    telling = Telling()
    telling.job(attempts=[_RUNNING])
    telling.pod(phase="Pending")
    telling.pod()
    assert telling.broken == []
    return telling


def ended(number: int = 0, outcome: str = "Failure") -> Body:
    return {**_RUNNING, "number": number, "outcome": outcome, "reason": "Crashed"}


def test_a_restart_in_order_breaks_nothing() -> None:
    telling = running()
    telling.pod(phase="Failed")
    telling.job(attempts=[ended(), {"number": 1, "nodes": 1}], restarts=1)
    telling.event("AttemptEnded", "Attempt 0 ended as Failure: it broke")
    telling.pod("job-1-0")
    telling.pod("job-1-0", "Succeeded")
    done: Body = {"conditions": {"Complete": "Succeeded"}, "restarts": 1}
    telling.job(attempts=[ended(), ended(1, "Succeeded")], **done)
    telling.job(attempts=[ended(), ended(1, "Succeeded")], **done, observedGeneration=2)
    assert telling.broken == []


def test_attempts_that_overlap_are_found() -> None:
    telling = running()
    telling.job(attempts=[ended(), {"number": 1, "nodes": 1}], restarts=1)
    telling.pod("job-1-0")
    assert telling.broken == ["attempts_do_not_overlap"]


def test_an_attempt_may_overlap_with_what_is_on_a_lost_node() -> None:
    telling = running()
    telling.node("Unknown")
    telling.job(attempts=[ended(outcome="NodeLoss"), {"number": 1, "nodes": 1}])
    telling.pod("job-1-0")
    assert telling.broken == []


def test_a_pod_of_an_attempt_that_the_status_does_not_tell_of_is_found() -> None:
    telling = running()
    telling.pod(phase="Failed")
    telling.pod("job-1-0")
    assert telling.broken == ["status_comes_first"]


def test_a_pod_that_goes_before_its_end_is_recorded_is_found() -> None:
    telling = running()
    telling.pod(leaving=True)
    assert telling.broken == ["ends_are_recorded_first"]


def test_a_pod_that_somebody_else_took_is_not_the_operators_doing() -> None:
    telling = running()
    telling.checker.taken.add("job-0-0")
    telling.pod(gone=True)
    assert telling.broken == []


def preparing(uid: str) -> Telling:
    telling = Telling()
    telling.job(conditions={"DatasetPrepared": "Preparing"})
    telling.prepare(uid)
    return telling


def test_a_pod_that_prepares_and_goes_before_its_end_is_recorded_is_found() -> None:
    telling = preparing("a")
    telling.prepare("a", leaving=True)
    assert telling.broken == ["ends_are_recorded_first"]


def test_the_cluster_may_take_the_next_pod_that_prepares_for_one_that_was_lost() -> None:
    telling = preparing("a")
    telling.node("Unknown")
    telling.prepare("a", gone=True)
    telling.node("True")
    telling.prepare("b")
    telling.prepare("b", leaving=True)
    assert telling.broken == []


def test_a_pod_that_is_created_twice_is_found() -> None:
    telling = running()
    telling.checker.taken.add("job-0-0")
    telling.pod(gone=True)
    telling.pod()
    assert telling.broken == ["children_are_made_once"]


def test_a_pod_that_was_lost_before_its_attempt_ran_may_be_created_again() -> None:
    telling = Telling()
    telling.job(attempts=[{"number": 0, "nodes": 1}])
    for _ in range(2):
        telling.pod(phase="Pending")
        telling.node("Unknown")
        telling.pod(phase="Pending", gone=True)
        telling.node("True")
    assert telling.broken == []


def test_a_pod_after_the_end_is_found() -> None:
    telling = running()
    telling.pod(phase="Succeeded")
    telling.job(attempts=[_RUNNING], conditions={"Complete": "Succeeded"})
    telling.pod("job-0-1")
    assert telling.broken == ["nothing_follows_the_end"]


def test_suspended_jobs_with_pods_are_found() -> None:
    telling = running()
    telling.job(attempts=[_RUNNING], conditions={"Suspended": "Suspended"})
    telling.pod("job-0-1")
    assert telling.broken == ["suspending_empties", "suspended_jobs_hold_no_pods"]


def test_a_job_is_suspended_though_a_pod_has_yet_to_leave_a_lost_node() -> None:
    telling = running()
    telling.node("Unknown")
    telling.job(attempts=[ended(outcome="Suspended")])
    telling.pod(leaving=True)
    telling.job(attempts=[ended(outcome="Suspended")], conditions={"Suspended": "Suspended"})
    assert telling.broken == []


def test_a_pod_on_a_lost_node_that_nobody_asked_to_leave_is_found() -> None:
    telling = running()
    telling.node("Unknown")
    telling.job(attempts=[ended(outcome="Suspended")], conditions={"Suspended": "Suspended"})
    assert telling.broken == ["suspending_empties"]


def test_a_terminal_condition_that_changes_is_found() -> None:
    telling = Telling()
    telling.job(conditions={"Failed": "Diverged"})
    telling.job(conditions={"Complete": "Succeeded"})
    assert telling.broken == ["terminal_is_terminal"]


def test_restarts_beyond_the_budget_and_backwards_are_found() -> None:
    telling = Telling()
    telling.job(restarts=1, most=0)
    telling.job(restarts=0, most=0)
    assert telling.broken == ["restarts_are_bounded"] * 2


def test_a_budget_that_was_larger_before_was_used_rightly() -> None:
    telling = Telling()
    telling.job(restarts=1, most=1)
    telling.job(restarts=1, most=0)
    assert telling.broken == []


def test_attempts_that_are_renumbered_or_retold_are_found() -> None:
    telling = Telling()
    telling.job(attempts=[ended(1), ended(0)])
    assert telling.broken == ["attempts_are_a_history"]
    telling = Telling()
    telling.job(attempts=[ended()])
    telling.job(attempts=[ended(outcome="Disruption")])
    assert telling.broken == ["attempts_are_a_history"]


def test_a_transition_that_is_told_twice_is_found() -> None:
    telling = Telling()
    telling.event("AttemptStarted", "Attempt 1 starts on 2 nodes.", "a")
    telling.event("AttemptStarted", "Attempt 2 starts on 2 nodes.", "b")
    assert telling.broken == []
    telling.event("AttemptStarted", "Attempt 2 starts on 1 nodes.", "c")
    telling.event("Succeeded", "The run finished.", "d", count=2)
    assert telling.broken == ["events_are_not_repeated"] * 2
