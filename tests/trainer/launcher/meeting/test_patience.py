import errno

import pytest

from finetune_trainer.launcher.meeting.names import SilentDns, UnknownName
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


def test_a_fault_is_seen_within_half_a_minute() -> None:
    assert max(DNS_SECONDS, ROUTE_SECONDS) < 25
