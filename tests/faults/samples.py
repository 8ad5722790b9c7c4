"""A record, and what is found when all is right, for the tests of those who compare them."""

from dataclasses import replace
from typing import Any

from faults.record import Found, Record, Result, Target

RECORD = Record(
    case="rank-killed",
    seed=1,
    strike="kill_rank",
    target=Target(rank=1, step=7, pod="rank-killed-0-1", node="node-2"),
    outcome="Failure",
    reason="Crashed",
    rank=1,
    pod="rank-killed-0-1",
    node="node-2",
    exit_code=1,
    restarts=1,
    state="Complete",
    ending="Succeeded",
    lost=4,
    words=("killed by SIGKILL",),
)
RIGHT = Found(
    outcome="Failure",
    reason="Crashed",
    rank=1,
    pod="rank-killed-0-1",
    node="node-2",
    exit_code=1,
    text="rank 1 was killed by SIGKILL",
    restarts=1,
    state="Complete",
    ending="Succeeded",
    lost=2,
    detected=1.25,
    recovered=12.5,
    difference=0.0,
)


def result(complaints: tuple[str, ...] = (), tolerance: float = 0.0, **found: Any) -> Result:
    """Return a result in which so much was found otherwise."""
    return Result(RECORD, replace(RIGHT, **found), complaints, tolerance)
