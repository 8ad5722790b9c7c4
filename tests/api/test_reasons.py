import re
from string import Formatter

import pytest

from finetune_api.outcomes import ENDINGS, RetryPolicy
from finetune_api.reasons import COUNTED, REASONS, AttemptOutcome, ConditionType, Reason, State, find_reason, reason_of


@pytest.mark.parametrize("row", REASONS, ids=lambda row: f"{row.condition}-{row.name}")
def test_every_reason_is_a_camel_case_word_with_a_sentence(row: Reason) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]{1,127}", row.name)
    assert row.sentence.endswith((".", "}"))


def test_no_condition_has_two_reasons_of_one_name() -> None:
    keys = [(row.condition, str(row.name)) for row in REASONS]
    assert len(keys) == len(set(keys))


def test_every_condition_has_its_reasons() -> None:
    assert {row.condition for row in REASONS} == {None, *ConditionType}


def test_every_state_comes_from_some_reason() -> None:
    assert {row.state for row in REASONS} - {None} == set(State)


def test_every_mistake_of_a_user_is_a_reason_to_fail() -> None:
    mistakes = [ending.outcome for ending in ENDINGS if ending.retry is RetryPolicy.NEVER]
    assert len(mistakes) == 6
    assert all(reason_of(ConditionType.FAILED, outcome).state is State.FAILED for outcome in mistakes)


def test_a_failure_is_a_warning_and_a_success_is_not() -> None:
    assert reason_of(ConditionType.FAILED, "RestartsExhausted").warning
    assert not reason_of(ConditionType.COMPLETE, "Succeeded").warning


def test_a_sentence_is_filled_with_facts() -> None:
    row = reason_of(ConditionType.RUNNING, "Training")
    assert row.say(attempt=0, nodes=2) == "Attempt 0 trains on 2 nodes."


def test_a_message_from_outside_may_hold_braces() -> None:
    assert reason_of(ConditionType.FAILED, "ConfigInvalid").say(message="{x} is {") == "{x} is {"


def test_a_sentence_without_its_facts_is_an_error() -> None:
    with pytest.raises(KeyError):
        reason_of(ConditionType.RUNNING, "Training").say(attempt=0)


def test_every_field_of_a_sentence_has_a_name() -> None:
    fields = [field for row in REASONS for _, field, _, _ in Formatter().parse(row.sentence) if field is not None]
    assert all(field.isidentifier() for field in fields)


def test_a_reason_of_another_version_is_unknown_not_an_error() -> None:
    assert find_reason("Running", "Dancing") is None
    assert find_reason("Dancing", "Training") is None
    with pytest.raises(KeyError):
        reason_of(ConditionType.RUNNING, "Dancing")


def test_only_failures_and_hangs_use_up_restarts() -> None:
    assert {AttemptOutcome.FAILURE, AttemptOutcome.HANG} == COUNTED
