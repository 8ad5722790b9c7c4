import errno

import pytest

from finetune_trainer.launcher.meeting.approach import RETRY_SECONDS, TRY_SECONDS
from finetune_trainer.launcher.meeting.facts import LOOK_SECONDS
from finetune_trainer.launcher.meeting.names import ANSWER_SECONDS, LOOKUP_SECONDS, SilentDns, UnknownName
from finetune_trainer.launcher.meeting.patience import DNS_SECONDS, ROUTE_SECONDS, Patience, Trouble, trouble_of


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (UnknownName("no such name"), Trouble.NOT_THERE),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Trouble.NOT_THERE),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Trouble.NOT_THERE),
        (SilentDns("silence"), Trouble.NO_DNS),
        (TimeoutError(), Trouble.NO_ROUTE),
        (OSError(errno.EHOSTUNREACH, "no route to host"), Trouble.NO_ROUTE),
    ],
)
def test_every_failure_is_either_waited_for_or_counted(error: OSError, trouble: Trouble) -> None:
    assert trouble_of(error) is trouble


def test_a_pod_that_is_not_there_is_waited_for_without_end() -> None:
    patience = Patience()
    assert not any(patience.fault(Trouble.NOT_THERE, now) for now in (0.0, 100.0, 1e6))


@pytest.mark.parametrize(("trouble", "bound"), [(Trouble.NO_DNS, DNS_SECONDS), (Trouble.NO_ROUTE, ROUTE_SECONDS)])
def test_a_trouble_is_a_fault_once_it_has_lasted(trouble: Trouble, bound: float) -> None:
    patience = Patience()
    assert not patience.fault(Trouble.NOT_THERE, 0.0)
    assert not patience.fault(trouble, 500.0)
    assert not patience.fault(trouble, 500.0 + bound - 0.1)
    assert patience.fault(trouble, 500.0 + bound)


def test_a_trouble_that_goes_away_and_comes_back_counts_anew() -> None:
    patience = Patience()
    patience.fault(Trouble.NO_ROUTE, 0.0)
    patience.fault(Trouble.NOT_THERE, 15.0)
    assert not patience.fault(Trouble.NO_ROUTE, ROUTE_SECONDS)


def test_a_volume_that_is_silent_is_told_within_half_a_minute() -> None:
    assert LOOK_SECONDS < 28.0


@pytest.mark.parametrize(
    ("trouble", "a_try"),
    [(Trouble.NO_DNS, LOOKUP_SECONDS + ANSWER_SECONDS), (Trouble.NO_ROUTE, LOOKUP_SECONDS + TRY_SECONDS)],
)
def test_a_fault_is_seen_within_half_a_minute_of_the_first_try(trouble: Trouble, a_try: float) -> None:
    patience, now = Patience(), a_try
    while not patience.fault(trouble, now):
        now += RETRY_SECONDS + a_try
    assert now < 28.0
