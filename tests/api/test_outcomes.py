import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_api.outcomes import (
    ENDINGS,
    Outcome,
    RetryPolicy,
    TerminationMessage,
    exit_code,
    outcome_of_exit,
    retry_policy,
)


def test_every_outcome_has_one_row_and_one_code() -> None:
    assert {ending.outcome for ending in ENDINGS} == set(Outcome)
    assert len({ending.exit_code for ending in ENDINGS}) == len(ENDINGS) == len(Outcome)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_exit_code_leads_back_to_its_outcome(outcome: Outcome) -> None:
    assert outcome_of_exit(exit_code(outcome)) is outcome


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, "Succeeded"), (2, "ConfigInvalid"), (75, "Retryable"), (130, "Interrupted"), (143, "Preempted")],
)
def test_the_published_codes_do_not_move(code: int, outcome: str) -> None:
    assert outcome_of_exit(code).value == outcome


@pytest.mark.parametrize("code", [-9, -15, 1, 137, 139, 255])
def test_signals_and_unknown_codes_are_crashes(code: int) -> None:
    assert outcome_of_exit(code) is Outcome.CRASHED


def test_mistakes_of_the_user_are_never_retried() -> None:
    assert all(retry_policy(outcome_of_exit(code)) is RetryPolicy.NEVER for code in range(2, 8))
    assert retry_policy(Outcome.PREEMPTED) is RetryPolicy.FREE


def test_a_termination_message_carries_the_code_of_its_outcome() -> None:
    message = TerminationMessage(outcome=Outcome.DIVERGED, message="loss is nan", rank=1, step=7)
    fields = json.loads(message.to_json())
    assert fields["exitCode"] == 7
    assert fields["reason"] == "Diverged"
    assert (fields["rank"], fields["step"]) == (1, 7)


def test_a_crash_may_carry_the_code_it_crashed_with() -> None:
    assert TerminationMessage(outcome=Outcome.CRASHED, exit_code=139).exit_code == 139


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=6000), st.none() | st.text(max_size=6000))
def test_a_termination_message_is_json_of_bounded_size(message: str, traceback: str | None) -> None:
    text = TerminationMessage(outcome=Outcome.CRASHED, message=message, traceback=traceback).to_json()
    assert len(text.encode()) <= 4096
    parsed = TerminationMessage.parse(text)
    assert parsed is not None
    assert message.startswith(parsed.message)
    assert (traceback or "").endswith(parsed.traceback or "")


def test_a_long_traceback_gives_way_before_the_message_and_keeps_its_end() -> None:
    message = TerminationMessage(outcome=Outcome.CRASHED, message="é" * 1000, traceback="x" * 9000 + "the end")
    parsed = TerminationMessage.parse(message.to_json())
    assert parsed is not None
    assert parsed.message == message.message
    assert parsed.traceback is not None
    assert parsed.traceback.endswith("the end")
    assert len(message.to_json().encode()) > 4096 - 8


def test_text_that_utf8_cannot_hold_is_replaced() -> None:
    assert "a?b" in TerminationMessage(outcome=Outcome.CRASHED, message="a\udc80b").to_json()


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"outcome": "Bliss"}', "\x00", '{"outcome":'])
def test_garbage_is_no_termination_message(text: str) -> None:
    assert TerminationMessage.parse(text) is None


def test_keys_of_a_later_version_are_ignored() -> None:
    parsed = TerminationMessage.parse('{"outcome": "Retryable", "mood": "calm"}')
    assert parsed is not None
    assert parsed.exit_code == 75
