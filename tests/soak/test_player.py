"""What may be told of an attempt, from what was done to it, to its nodes and to its job."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from soak.ground import Ground
from soak.player import Player, Untrue
from soak.scene import Scene
from soak.script import Act, Kind, Story
from soak.verdicts import ruling_of

_JOB = "1"


def player(*played: Kind, resized: bool = False, **known: bool) -> Player:
    """A player of a job with one attempt, to which something was done or not; `known`: what the scene has of it."""
    facts: Any = {what: {(_JOB, 0)} for what, holds in known.items() if holds}
    scene = Scene(**facts)
    stage = cast(Any, SimpleNamespace(late_causes=set()))
    one = Player(Story("job"), stage, Ground(scene), uid=_JOB, resized=resized)
    one.rulings = dict(enumerate((ruling_of(act), act) for act in map(Act, played)))
    return one


def settle(one: Player, outcome: str, reason: str) -> None:
    """The operator tells how that attempt ended."""
    one._settle({"number": 0, "outcome": outcome, "reason": reason, "runningTime": "2026-01-01T00:00:00Z"})


_UNTOLD = [Kind.DRAIN, Kind.RETRYABLE, Kind.EVICTED, Kind.SHUTDOWN, Kind.REJECTED, Kind.EVICTION, Kind.POD_DELETED,
           Kind.POD_REMOVED, Kind.SUPERSEDED, Kind.PREFLIGHT, Kind.CRASH, Kind.SUSPEND]  # fmt: skip


@pytest.mark.parametrize("kind", _UNTOLD)
def test_a_new_number_of_nodes_that_is_seen_late_may_be_what_ends_an_attempt(kind: Kind) -> None:
    one = player(kind, resized=True)
    settle(one, "Cancelled", "Resized")
    assert (one.ledger.restarts, one.resized) == (0, False)


def test_an_attempt_is_not_resized_where_nobody_asked_for_that() -> None:
    with pytest.raises(Untrue, match="attempt 0 is told to have ended as Cancelled/Resized; true is Failure/Crashed"):
        settle(player(Kind.CRASH), "Cancelled", "Resized")


@pytest.mark.parametrize("reason", ["Removed", "PodMissing", "Drained", "PeerRemoved"])
def test_of_a_pod_that_the_cluster_took_from_a_lost_node_both_may_be_told(reason: str) -> None:
    settle(player(lost=True, swept=True), "NodeLoss", "NodeLost")
    one = player(lost=True, swept=True)
    settle(one, "Disruption", reason)
    assert (one.ledger.restarts, one.ledger.in_a_row) == (0, 1)


def test_a_loss_whose_pods_are_still_there_is_told_as_one() -> None:
    with pytest.raises(Untrue, match="true is NodeLoss/NodeLost"):
        settle(player(lost=True), "Disruption", "Removed")


def test_a_crash_in_a_suspension_may_be_read_before_what_came_before_it() -> None:
    settle(player(Kind.SUSPEND_CRASH), "Suspended", "Suspended")
    one = player(Kind.SUSPEND_CRASH, died=True)
    settle(one, "Failure", "Crashed")
    assert (one.ledger.restarts, one.put_off) == (1, {0})
    for innocent in (player(Kind.SUSPEND, died=True), player(Kind.SUSPEND_CRASH)):
        with pytest.raises(Untrue):
            settle(innocent, "Failure", "Crashed")


def test_a_new_number_of_nodes_explains_no_other_end() -> None:
    with pytest.raises(Untrue):
        settle(player(Kind.CRASH, resized=True), "Cancelled", "DeadlineExceeded")
