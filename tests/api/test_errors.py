import pytest

from finetune_api import errors
from finetune_api.errors import ConfigInvalid, DatasetInvalid, Problem, RunError
from finetune_api.outcomes import Outcome


def test_an_error_reads_as_its_sentence_and_hint() -> None:
    error = DatasetInvalid("train.jsonl is empty.", hint="Add rows.", step=3)
    assert str(error) == "train.jsonl is empty. Add rows."
    assert (error.outcome, error.step) == (Outcome.DATASET_INVALID, 3)


@pytest.mark.parametrize("kind", RunError.__subclasses__())
def test_every_kind_of_error_has_an_outcome_of_its_name(kind: type[RunError]) -> None:
    assert kind.outcome.value == kind.__name__
    assert getattr(errors, kind.__name__) is kind


def test_one_problem_is_the_whole_message() -> None:
    error = ConfigInvalid.of([Problem("train_loader.dataset.hf_nmae", "unknown key", "did you mean hf_name?")])
    assert str(error) == "train_loader.dataset.hf_nmae: unknown key; did you mean hf_name?"


def test_several_problems_are_counted_and_listed() -> None:
    error = ConfigInvalid.of([Problem("a", "bad"), Problem("b", "worse")])
    assert str(error).splitlines() == ["2 mistakes in the configuration:", "  a: bad", "  b: worse"]
    assert len(error.problems) == 2


def test_a_problem_can_be_seen_from_outside() -> None:
    assert Problem("seed", "bad").under("spec.config").path == "spec.config.seed"
    assert Problem("", "bad").under("spec.config").path == "spec.config"
