"""Whose fault it is that nodes cannot work together, by what their pods say."""

import json

import pytest

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_operator.preflight import PREFLIGHT_FAILED, each_blames_itself, suspected
from finetune_operator.seen_pod import SeenPod


def pods(*suspects: list[int] | None) -> list[SeenPod]:
    """The pods of an attempt, each with the ranks that it suspects; None: it still runs."""
    return [_pod(rank, suspected) for rank, suspected in enumerate(suspects)]


def _pod(rank: int, suspects: list[int] | None) -> SeenPod:
    pod = SeenPod(name=f"job-0-{rank}", uid=str(rank), attempt=0, rank=rank, phase="Running", node=f"node-{rank}")
    if suspects is None:
        return pod
    message = TerminationMessage(outcome=Outcome.RETRYABLE, reason=PREFLIGHT_FAILED, message="no")
    facts = {"phase": "Failed", "message": message, "told": json.dumps({"suspects": suspects})}
    return SeenPod(**{**vars(pod), **facts})


@pytest.mark.parametrize(
    ("said", "nodes"),
    [
        ([[1], [1], [1]], ["node-1"]),
        ([[2], [2], [0, 1]], ["node-2"]),
        ([[0, 1], [0, 1]], ["node-0", "node-1"]),
        ([[1], [2], [0]], []),
        ([None, [1]], ["node-1"]),
        ([[], []], []),
        ([[9], []], []),
    ],
)
def test_the_nodes_are_suspected_that_most_pods_accuse(said: list[list[int] | None], nodes: list[str]) -> None:
    assert suspected(pods(*said)) == nodes


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ([[0], [1]], True),
        ([[0], [1], [2]], True),
        ([[0], [0]], False),
        ([[0, 1], [0, 1]], False),
        ([None, [1]], False),
        ([[0]], False),
    ],
)
def test_all_miss_what_they_share_when_each_blames_itself(said: list[list[int] | None], holds: bool) -> None:
    assert each_blames_itself(pods(*said)) is holds
