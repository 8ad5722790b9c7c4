import pytest

from finetune_trainer.data.assembly import (
    IGNORED,
    DropReason,
    Example,
    Targets,
    Turn,
    assemble,
    without_second_bos,
)

EOS = 99
LAST = Targets()
TWO_TURNS = [Turn([1, 2], [3]), Turn([4], [5, 6])]


def test_prompt_is_masked_and_eos_is_a_target() -> None:
    example = assemble([Turn([1, 2], [3, 4])], LAST, eos=EOS, max_seq_len=10)
    assert example == Example([1, 2, 3, 4, EOS], [IGNORED, IGNORED, 3, 4, EOS])


def test_a_response_that_ends_with_eos_gains_no_second_one() -> None:
    example = assemble([Turn([1], [2, EOS])], LAST, eos=EOS, max_seq_len=10)
    assert example == Example([1, 2, EOS], [IGNORED, 2, EOS])


def test_only_the_last_turn_is_learned_and_closed_by_default() -> None:
    example = assemble(TWO_TURNS, LAST, eos=EOS, max_seq_len=10)
    assert example == Example([1, 2, 3, 4, 5, 6, EOS], [IGNORED] * 4 + [5, 6, EOS])


def test_all_responses_can_be_targets() -> None:
    example = assemble(TWO_TURNS, Targets.parse("none", "all"), eos=EOS, max_seq_len=10)
    assert isinstance(example, Example)
    assert example.labels == [IGNORED, IGNORED, 3, IGNORED, 5, 6, EOS]


def test_all_prompts_can_be_targets() -> None:
    example = assemble(TWO_TURNS, Targets.parse("all", "all"), eos=EOS, max_seq_len=10)
    assert isinstance(example, Example)
    assert example.labels == example.input_ids
    assert example.loss_tokens == 6, "nothing predicts the first token"


def test_prompts_of_a_length_can_be_targets() -> None:
    example = assemble(TWO_TURNS, Targets.parse("length>=2", "last"), eos=EOS, max_seq_len=10)
    assert isinstance(example, Example)
    assert example.labels == [1, 2, IGNORED, IGNORED, 5, 6, EOS]


def test_truncation_is_on_the_right_and_takes_eos_with_it() -> None:
    example = assemble([Turn([1, 2], [3, 4])], LAST, eos=EOS, max_seq_len=3)
    assert example == Example([1, 2, 3], [IGNORED, IGNORED, 3])


@pytest.mark.parametrize(
    ("turns", "max_seq_len", "reason"),
    [
        ([Turn([], [1])], 10, DropReason.EMPTY_PROMPT),
        ([Turn([1], [])], 10, DropReason.EMPTY_RESPONSE),
        ([Turn([1], []), Turn([1], [2])], 10, DropReason.EMPTY_RESPONSE),
        ([Turn([1, 2, 3], [4])], 3, DropReason.NO_TARGET),
    ],
)
def test_a_row_that_cannot_be_learned_from_is_dropped_with_its_reason(
    turns: list[Turn], max_seq_len: int, reason: DropReason
) -> None:
    assert assemble(turns, LAST, eos=EOS, max_seq_len=max_seq_len) is reason


def test_the_response_loses_its_bos_only_when_the_prompt_has_one() -> None:
    assert without_second_bos([1, 5], [1, 6], bos=1) == [6]
    assert without_second_bos([5], [1, 6], bos=1) == [1, 6]
    assert without_second_bos([1, 5], [6], bos=1) == [6]
    assert without_second_bos([5], [6], bos=None) == [6]
