"""A drain takes as long as its slowest rank needs, whatever torchrun does when the first one has left."""

import inspect
import os
import signal
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from support.hasty_agent import KILL_SECONDS

RUN: dict[str, Any] = {"do": "run"}
HASTY = {"agent_module": "support.hasty_agent"}


@pytest.mark.distributed
@pytest.mark.parametrize("slow", [0, 1])
def test_torchruns_kill_does_not_cut_a_slow_rank_short(start: Any, slow: int) -> None:
    ranks = {slow: {**RUN, "drain": 3 * KILL_SECONDS}, 1 - slow: {**RUN, "drain": 0.1}}
    launched = start(ranks, **HASTY)
    launched.rank(0), launched.rank(1)
    launched.send(signal.SIGTERM)
    message = launched.finish()
    assert (message.outcome, message.exit_code) == (Outcome.PREEMPTED, 143)
    slow_one = launched.dir.read_outcome(str(slow))
    assert slow_one is not None
    assert slow_one.outcome is Outcome.PREEMPTED


@pytest.mark.distributed
def test_torchruns_kill_is_what_is_guarded_against(start: Any) -> None:
    ranks = {0: {**RUN, "drain": 600}, 1: {**RUN, "drain": 0.1, "leave": "alone"}}
    launched = start(ranks, grace=600, **HASTY)
    launched.rank(0), launched.rank(1)
    launched.send(signal.SIGTERM)
    launched.finish()
    assert launched.dir.read_outcome("0") is None


@pytest.mark.distributed
def test_a_signal_to_one_rank_alone_and_again_to_all_ends_as_a_drain(start: Any) -> None:
    script = {rank: {"do": "step", "drain": 2.0} for rank in range(2)}
    launched = start(script)
    ranks = [launched.rank(rank) for rank in range(2)]
    launched.send(signal.SIGTERM)
    for pid in (launched.process.pid, *ranks):
        os.kill(pid, signal.SIGTERM)
    message = launched.finish()
    assert (message.outcome, message.exit_code) == (Outcome.PREEMPTED, 143)


@pytest.mark.distributed
@pytest.mark.parametrize(("number", "outcome"), [(signal.SIGTERM, "Preempted"), (signal.SIGINT, "Interrupted")])
def test_a_signal_to_one_rank_alone_before_there_is_data_takes_the_others_along(
    start: Any, number: signal.Signals, outcome: str
) -> None:
    launched = start({rank: {**RUN, "wait_prepared": True} for rank in range(2)}, script={"seconds": 600})
    launched.rank(0)
    launched.send(number, "1")
    message = launched.finish()
    assert (message.outcome, message.reason, message.step) == (outcome, "PeerDrained", None)
    assert launched.survivors() == []


def test_torch_still_gives_the_peers_of_a_rank_that_left_a_fixed_time() -> None:
    from torch.distributed.elastic.multiprocessing.api import PContext, SubprocessContext

    assert inspect.signature(PContext.close).parameters["timeout"].default == 30
    assert "self.close()  # terminate all running procs" in inspect.getsource(SubprocessContext._poll)
