from dataclasses import replace
from typing import Any

import pytest

from faults.judge import complaints
from faults.samples import RECORD, RIGHT


def test_what_was_written_down_is_right() -> None:
    assert complaints(RECORD, RIGHT) == ()


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("outcome", "Disruption", "Disruption/Crashed instead of Failure/Crashed"),
        ("reason", "Retryable", "Failure/Retryable instead of Failure/Crashed"),
        ("rank", 0, "rank 0 instead of 1"),
        ("pod", "rank-killed-0-0", "pod rank-killed-0-0 instead of rank-killed-0-1"),
        ("node", None, "node None instead of node-2"),
        ("exit_code", 137, "exit_code 137 instead of 1"),
        ("text", "something happened", "not told: 'killed by SIGKILL'"),
        ("state", "Failed", "the job is Failed/Succeeded instead of Complete/Succeeded"),
        ("ending", "AlreadyComplete", "the job is Complete/AlreadyComplete instead of Complete/Succeeded"),
        ("restarts", 0, "0 restarts counted instead of 1"),
        ("lost", 5, "5 steps lost instead of at most 4"),
        ("lost", None, "None steps lost instead of at most 4"),
    ],
)
def test_whatever_is_named_otherwise_is_wrong(field: str, value: Any, complaint: str) -> None:
    found: Any = {field: value}
    assert complaints(RECORD, replace(RIGHT, **found)) == (complaint,)


def test_what_nobody_can_know_is_not_asked_for() -> None:
    record = replace(RECORD, rank=None, pod=None, node=None, exit_code=None, words=())
    assert complaints(record, replace(RIGHT, rank=0, pod="another", node="another", exit_code=9, text="")) == ()


def test_a_fault_that_may_end_no_attempt_must_end_none() -> None:
    record = replace(RECORD, outcome=None, reason="", restarts=0)
    assert complaints(record, replace(RIGHT, outcome="Succeeded", reason="Succeeded", restarts=0)) == ()
    (complaint,) = complaints(record, replace(RIGHT, restarts=0))
    assert complaint == "an attempt ended as Failure/Crashed, and none had to"


@pytest.mark.parametrize(("ran", "wrong"), [(29.9, False), (30.1, True), (None, True)])
def test_what_must_be_told_within_a_time_is_told_within_it(ran: float | None, wrong: bool) -> None:
    assert bool(complaints(replace(RECORD, within=30.0), replace(RIGHT, ran=ran))) is wrong
