"""Times that the operator's own depend on."""

from finetune_operator.settings_file import parse_settings
from soak import acts, manifests


def test_a_cause_that_is_not_late_reaches_the_operator_long_before_it_waits_no_more() -> None:
    window = parse_settings(manifests.settings(8080, 5)).timing.cause_window
    by_whole_seconds = window - 1
    assert by_whole_seconds - acts._WINDOW >= 2
