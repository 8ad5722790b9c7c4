"""The wish to stop, raised by a signal on any rank and agreed on by all."""

import os
import signal
from collections.abc import Iterator

import pytest

from finetune_trainer.stopping import StopFlag


class Ranks:
    """Peers whose largest wish is known."""

    def __init__(self, others: int = 0) -> None:
        self.others = others

    def any(self, code: int) -> int:
        return max(code, self.others)


@pytest.fixture
def flag() -> Iterator[StopFlag]:
    """A flag that catches this process's signals for the time of a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = StopFlag()
    made.install()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def test_without_a_signal_nobody_wishes_to_stop(flag: StopFlag) -> None:
    assert flag.wished is None
    assert flag.agreed(Ranks()) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_remembered_and_acted_on_when_the_ranks_agree(flag: StopFlag, number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    assert flag.wished is number
    assert flag.agreed(Ranks()) is number


@pytest.mark.parametrize("order", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_a_preemption_outranks_a_person(flag: StopFlag, order: tuple[signal.Signals, signal.Signals]) -> None:
    for number in order:
        os.kill(os.getpid(), number)
    assert flag.wished is signal.SIGTERM


def test_the_wish_of_another_rank_counts_for_all() -> None:
    silent, told = StopFlag(), Ranks(others=Ranks(2).any(0))
    assert silent.agreed(told) is signal.SIGTERM
    assert silent.wished is None
    assert silent.agreed(Ranks(others=1)) is signal.SIGINT
