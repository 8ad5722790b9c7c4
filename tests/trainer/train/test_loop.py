"""The training loop: what is due between steps, and how it ends."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from finetune_trainer.checkpoint.checkpointer import Checkpointer
from finetune_trainer.checkpoint.folder import checkpoint_folder
from finetune_trainer.checkpoint.manifest import Identity, checkpoint_name, complete_checkpoints
from finetune_trainer.journal import Journal
from finetune_trainer.stopping import Agreement, StopFlag
from finetune_trainer.train.early_stop import early_stop
from finetune_trainer.train.evaluate import EvalResult
from finetune_trainer.train.exporter import Exporter
from finetune_trainer.train.learning_rate import lr_multiplier
from finetune_trainer.train.loop import Course, train
from finetune_trainer.train.state import Drained, TrainState
from finetune_trainer.train.step import StepResult
from finetune_trainer.train.timeline import Timeline
from support.training import (
    ALONE,
    dataset_of,
    load_gpt2,
    random_rows,
    same,
    take_over,
    training_config,
    training_state,
    weights,
)

TRAIN, VALIDATION = dataset_of(random_rows(12, seed=8)), dataset_of(random_rows(3, seed=9))
EVALUATION = {"name": "finetuning", "dataset": {"hf_name": "json", "split": "validation"}}
TWO_EVALUATIONS = [{**EVALUATION, "label": label} for label in ("near", "far")]


class Notes(Journal):
    """A journal that remembers what it was told, in order."""

    def __init__(self, evaluations: list[dict[str, Any]] | None = None) -> None:
        self.events: list[str] = []
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.recorded = evaluations or []

    def evaluations(self) -> list[dict[str, Any]]:
        return self.recorded

    def step(self, step: int, rows: np.ndarray, result: StepResult, lr: float, seconds: float) -> None:
        self.events.append(f"step {step}")
        self.rates.append(lr)
        self.losses.append(result.loss)

    def evaluation(self, step: int, label: str, result: EvalResult) -> None:
        self.events.append(f"{label} {step}")
        found = {"label": label, "step": step, "loss": result.loss, "perplexity": result.perplexity}
        self.recorded.append(found)

    def checkpoint(self, step: int, seconds: float, *, weights_only: bool = False) -> None:
        self.events.append(f"save {'weights of ' * weights_only}{step}")


class StopAfter(StopFlag):
    """A flag that ranks agree on at their n-th question."""

    def __init__(self, questions: int) -> None:
        super().__init__()
        self.left = questions

    def agreed(self, ranks: Agreement) -> signal.Signals | None:
        self.left -= 1
        return signal.SIGTERM if self.left < 0 else None


class Run:
    """An attempt of six steps (two epochs of three batches) on an output directory."""

    def __init__(
        self,
        output: Path,
        model: Path,
        changes: dict[str, Any],
        *,
        attempt: int = 0,
        stop: StopFlag | None = None,
        notes: Notes | None = None,
    ) -> None:
        config = training_config(model, {"max_duration": "2ep", **changes})
        folder = checkpoint_folder(output, config)
        own, self.start = take_over(output, folder, attempt=attempt)
        self.state: TrainState = training_state(config, load_gpt2(model), stop=stop)
        timeline = Timeline.of(config, TRAIN.lengths)
        identity = Identity("model", "dataset", timeline.order_settings())
        last = self.start.step if self.start.manifest else -1
        self.checkpointer = Checkpointer(output, folder, own, identity, config, ALONE, last_saved=last)
        if self.start.manifest:
            self.checkpointer.restore(self.start, self.state.model, self.state.optimizer, self.state.scale)
        self.notes = notes or Notes()
        tokenizer = AutoTokenizer.from_pretrained(model)
        self.course = Course(
            train_rows=TRAIN,
            eval_rows=dict.fromkeys(config.eval_loaders_by_label, VALIDATION),
            timeline=timeline,
            lr_factor=lr_multiplier(config, timeline.batches_per_epoch),
            checkpointer=self.checkpointer,
            journal=self.notes,
            early_stop=early_stop(config, timeline),
            exporter=Exporter(output, tokenizer, torch.float32, self.checkpointer.fence),
        )

    def go(self) -> list[str]:
        assert train(self.state, self.course, self.start.step) >= self.start.step
        return self.notes.events


@pytest.fixture
def begin(gpt2_dir: Path, tmp_path: Path) -> Callable[..., Run]:
    def make(changes: dict[str, Any] | None = None, **parts: Any) -> Run:
        return Run(tmp_path, gpt2_dir, changes or {}, **parts)

    return make


EXPORTED = {"callbacks": {"hf_checkpointer": {"save_interval": "4ba"}}}


def exports(output: Path) -> list[str]:
    """The names of the models that were exported on the way."""
    return [path.name for path in output.glob("huggingface/*") if not path.name.startswith(".")]


STEPS = [f"step {i}" for i in range(1, 7)]


def test_a_run_takes_every_step_and_saves_its_last_state(begin: Callable[..., Run]) -> None:
    assert begin().go() == [*STEPS, "save 6"]


def test_saves_and_evaluations_come_when_they_are_due(begin: Callable[..., Run]) -> None:
    changes = {"save_interval": "2ba", "eval_loader": EVALUATION, "eval_interval": 1}
    events = ["step 1", "step 2", "save 2", "step 3", "eval 3", "step 4", "save 4", "step 5", "step 6", "save 6"]
    assert begin(changes).go() == [*events, "eval 6"]


def test_the_end_is_evaluated_whatever_the_interval(begin: Callable[..., Run]) -> None:
    assert begin({"eval_loader": EVALUATION, "eval_interval": "4ba"}).go() == [
        *STEPS[:4],
        "eval 4",
        *STEPS[4:],
        "eval 6",
        "save 6",
    ]


def test_an_interval_of_nothing_means_never(begin: Callable[..., Run]) -> None:
    assert begin({"eval_loader": EVALUATION, "eval_interval": 0}).go() == [*STEPS, "save 6"]


def test_a_run_may_be_evaluated_before_its_first_step(begin: Callable[..., Run]) -> None:
    changes = {"eval_loader": EVALUATION, "eval_first": True, "eval_interval": "2ep"}
    assert begin(changes).go() == ["eval 0", *STEPS, "eval 6", "save 6"]


def test_each_step_is_told_with_the_rate_it_ran_at(begin: Callable[..., Run]) -> None:
    run = begin({"scheduler": {"name": "linear_decay_with_warmup", "t_warmup": "2ba"}})
    run.go()
    assert run.notes.rates == pytest.approx([0.0, 0.005, 0.01, 0.0075, 0.005, 0.0025])


def test_a_wish_to_stop_saves_the_last_whole_step_and_says_which(begin: Callable[..., Run]) -> None:
    run = begin(stop=StopAfter(4))
    with pytest.raises(Drained) as caught:
        run.go()
    assert (caught.value.number, caught.value.step) == (signal.SIGTERM, 4)
    assert run.notes.events == [*STEPS[:4], "save 4"]


def test_what_is_saved_already_is_not_saved_again(begin: Callable[..., Run]) -> None:
    run = begin({"save_interval": "2ba"}, stop=StopAfter(4))
    with pytest.raises(Drained):
        run.go()
    assert run.notes.events == ["step 1", "step 2", "save 2", "step 3", "step 4", "save 4"]


def test_a_wish_to_stop_before_the_first_step_saves_the_beginning(begin: Callable[..., Run]) -> None:
    run = begin(stop=StopAfter(0))
    with pytest.raises(Drained) as caught:
        run.go()
    assert caught.value.step == 0
    assert begin(attempt=1).go() == [*STEPS, "save 6"]


@pytest.mark.parametrize("questions", [0, 2, 5])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(
    questions: int, gpt2_dir: Path, tmp_path: Path, begin: Callable[..., Run]
) -> None:
    whole = Run(tmp_path / "whole", gpt2_dir, {})
    whole.go()
    first = begin(stop=StopAfter(questions))
    with pytest.raises(Drained):
        first.go()
    second = begin(attempt=1)
    assert second.go() == [*STEPS[questions:], "save 6"]
    assert first.notes.losses + second.notes.losses == whole.notes.losses
    assert same(weights(whole.state.model), weights(second.state.model))


def test_periodic_checkpoints_of_weights_do_not_cost_the_one_to_resume_from(begin: Callable[..., Run]) -> None:
    changes = {"save_interval": "2ba", "save_weights_only": True, "save_num_checkpoints_to_keep": 1}
    run = begin(changes, stop=StopAfter(4))
    with pytest.raises(Drained):
        run.go()
    assert run.notes.events[-2:] == ["save weights of 4", "save 4"]
    second = begin(changes, attempt=1)
    assert second.start.step == 4
    second.go()
    last = {made.step: made.weights_only for _, made in complete_checkpoints(run.checkpointer.folder)}
    assert last == {6: False}


def test_a_finished_run_has_nothing_left_to_do(begin: Callable[..., Run]) -> None:
    begin().go()
    again = begin(attempt=1)
    assert again.start.directory == again.checkpointer.folder / checkpoint_name(6, 0)
    assert again.go() == []


def test_an_evaluation_that_was_cut_off_is_made_up_for(begin: Callable[..., Run]) -> None:
    changes = {"save_interval": "3ba", "eval_loader": EVALUATION}
    with pytest.raises(Drained):
        begin(changes, stop=StopAfter(3)).go()  # the fourth question is that of the evaluation
    assert begin(changes, attempt=1).go() == ["eval 3", *STEPS[3:], "save 6", "eval 6"]


def test_an_evaluation_that_was_recorded_is_not_repeated(begin: Callable[..., Run]) -> None:
    changes = {"save_interval": "3ba", "eval_loader": EVALUATION}
    with pytest.raises(Drained):
        begin(changes, stop=StopAfter(4)).go()
    notes = Notes([{"label": "eval", "step": 3, "loss": 1.0, "perplexity": 2.7}])
    assert begin(changes, attempt=1, notes=notes).go() == [*STEPS[3:], "save 6", "eval 6"]


def test_of_an_evaluation_that_was_cut_off_between_two_sets_the_missing_one_is_made_up_for(
    begin: Callable[..., Run],
) -> None:
    changes = {"save_interval": "3ba", "eval_loader": TWO_EVALUATIONS}
    first = begin(changes, stop=StopAfter(4))  # the fifth question is that of the second set
    with pytest.raises(Drained):
        first.go()
    assert first.notes.events[-2:] == ["save 3", "near 3"]
    second = begin(changes, attempt=1, notes=Notes(first.notes.recorded))
    assert second.go() == ["far 3", *STEPS[3:], "save 6", "near 6", "far 6"]


def test_an_evaluation_that_is_made_up_for_may_end_the_run(begin: Callable[..., Run]) -> None:
    stopper = {"monitor": "loss", "dataloader_label": "far", "patience": "1ba", "min_delta": 100.0}
    changes: dict[str, Any] = {"save_interval": "1ba", "eval_loader": TWO_EVALUATIONS, "eval_interval": "1ba"}
    changes["callbacks"] = {"early_stopper": stopper}
    first = begin(changes, stop=StopAfter(8))  # three steps and five sets
    with pytest.raises(Drained):
        first.go()
    second = begin(changes, attempt=1, notes=Notes(first.notes.recorded))
    assert second.course.early_stop is not None
    second.course.early_stop.replay(first.notes.recorded)
    assert second.go() == ["far 3"]


def test_a_run_that_no_longer_improves_ends_early_and_is_saved(begin: Callable[..., Run]) -> None:
    stopper = {"early_stopper": {"monitor": "loss", "patience": "1ba", "min_delta": 100.0}}
    run = begin({"eval_loader": EVALUATION, "eval_interval": "1ba", "callbacks": stopper})
    assert run.go() == ["step 1", "eval 1", "step 2", "eval 2", "step 3", "eval 3", "save 3"]


def test_models_are_exported_on_the_way_when_asked_for(begin: Callable[..., Run], tmp_path: Path) -> None:
    assert begin(EXPORTED).go() == [*STEPS[:4], "save 4", *STEPS[4:], "save 6"]
    assert exports(tmp_path) == ["ba4"]


def test_an_export_needs_no_checkpoint_where_there_is_one(begin: Callable[..., Run]) -> None:
    events = ["step 1", "step 2", "save 2", "step 3", "step 4", "save 4", "step 5", "step 6", "save 6"]
    assert begin({**EXPORTED, "save_interval": "2ba"}).go() == events


def test_a_run_that_is_killed_in_an_export_loses_no_step_and_exports_anew(
    begin: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    changes = {**EXPORTED, "save_num_checkpoints_to_keep": 1}
    first = begin(changes)
    with monkeypatch.context() as dying:
        dying.setattr("finetune_trainer.train.exporter.export_model", killed)
        with pytest.raises(KeyboardInterrupt):
            first.go()
    second = begin(changes, attempt=1)
    assert (second.start.step, exports(tmp_path)) == (4, [])
    assert second.go() == [*STEPS[4:], "save 6"]
    assert exports(tmp_path) == ["ba4"]


def test_a_wish_to_stop_is_heard_before_an_export_which_is_made_up_for(
    begin: Callable[..., Run], tmp_path: Path
) -> None:
    first = begin(EXPORTED, stop=StopAfter(4))  # the fifth question is that of the export
    with pytest.raises(Drained) as caught:
        first.go()
    assert caught.value.step == 4
    assert first.notes.events == [*STEPS[:4], "save 4"]
    assert exports(tmp_path) == []
    begin(EXPORTED, attempt=1).go()
    assert exports(tmp_path) == ["ba4"]


def test_a_run_that_begins_with_the_state_of_another_leaves_its_exports_to_that_one(
    begin: Callable[..., Run], tmp_path: Path
) -> None:
    run = begin(EXPORTED)
    assert train(run.state, run.course, start=4) == 6  # as with `load_path`: nothing of this run is saved so far
    assert run.notes.events == ["step 5", "step 6", "save 6"]
    assert exports(tmp_path) == []
