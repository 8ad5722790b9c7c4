"""The wait between attempts."""

from finetune_operator.policies.backoff import backoff
from finetune_operator.settings import TimingSettings


def test_the_first_recovery_is_immediate_and_the_wait_doubles_to_a_bound() -> None:
    timing = TimingSettings(backoff_base=2, backoff_most=10)
    assert [backoff(count, timing) for count in range(7)] == [0, 0, 2, 4, 8, 10, 10]
    assert backoff(10**6, timing) == 10
