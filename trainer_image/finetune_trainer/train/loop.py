"""The training loop: steps, and what is due between them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from finetune_trainer.checkpoint.checkpointer import Checkpointer
from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.journal import Journal
from finetune_trainer.train.early_stop import EarlyStop
from finetune_trainer.train.evaluate import evaluate
from finetune_trainer.train.exporter import Exporter
from finetune_trainer.train.intervals import is_due
from finetune_trainer.train.learning_rate import Multiplier
from finetune_trainer.train.state import Drained, TrainState
from finetune_trainer.train.step import train_step
from finetune_trainer.train.timeline import Timeline


@dataclass
class Course:
    """What a run goes through: its rows in order, its evaluation sets, and where results go."""

    train_rows: TokenizedDataset
    eval_rows: Mapping[str, TokenizedDataset]
    timeline: Timeline
    lr_factor: Multiplier
    checkpointer: Checkpointer
    journal: Journal
    early_stop: EarlyStop | None
    exporter: Exporter

    @property
    def has_stopped_improving(self) -> bool:
        """Whether an early stopper has run out of patience."""
        return self.early_stop is not None and self.early_stop.exhausted


def train(run: TrainState, course: Course, start: int) -> int:
    """Run the steps from `start` (done so far) to the end and return the number done; the last state is saved.

    Raises Drained, after saving, when all ranks agreed to stop.
    """
    done = start
    run.world.heart.resume_after(start)
    course.journal.phase("train")
    try:
        if course.checkpointer.last_saved == start:  # the attempt before may have been killed within its export
            _export_if_due(run, course, start)
        _evaluate_if_missing(run, course, start)
        while done < course.timeline.total_batches and not course.has_stopped_improving:
            run.world.heart.enter("first_step" if done == start else "step")
            _one_step(run, course, done)
            done += 1
            _save_if_due(run, course, done)
            _export_if_due(run, course, done)
            if _evaluation_is_due(run, course, done):
                _evaluate(run, course, done, course.eval_rows)
    except Drained as drained:
        _save(run, course, done)
        drained.step = done
        raise
    _save(run, course, done)
    return done


def _one_step(run: TrainState, course: Course, done: int) -> None:
    rows = course.timeline.rows(done)
    factor = course.lr_factor(course.timeline.clock(done))
    result = train_step(run, course.train_rows, rows, done + 1, factor)
    lr = run.config.optimizer.lr * factor
    course.journal.step(done + 1, rows, result, lr, run.world.heart.finish_step(done + 1))


def _save_if_due(run: TrainState, course: Course, done: int) -> None:
    if is_due(run.config.save_interval, course.timeline, done):
        _save(run, course, done, weights_only=run.config.save_weights_only)


def _export_if_due(run: TrainState, course: Course, done: int) -> None:
    """Export when it is due, and save first: who asks a run to leave may not wait until an export is finished."""
    destination = course.exporter.due(run, course.timeline, done)
    if destination is not None:
        _save(run, course, done)
        run.leave_if_asked()
        course.exporter.export(run, destination)


def _save(run: TrainState, course: Course, done: int, *, weights_only: bool = False) -> Path | None:
    """Save unless this very state is saved already."""
    if course.checkpointer.last_saved == done and not weights_only:
        return None
    course.journal.phase("save")
    run.world.heart.enter("save")
    samples = course.timeline.clock(done).samples
    saved = course.checkpointer.save(done, samples, run.model, run.optimizer, run.scale, weights_only=weights_only)
    course.journal.checkpoint(done, run.world.heart.finish_save(), weights_only=weights_only)
    course.journal.phase("train")
    return saved


def _evaluate_if_missing(run: TrainState, course: Course, start: int) -> None:
    """Evaluate before the first step when asked to, or what an attempt was cut off before or within."""
    cut_off = start > 0 and _evaluation_is_due(run, course, start)
    if (start == 0 and run.config.eval_first) or cut_off:
        recorded = {line["label"] for line in course.journal.evaluations() if line["step"] == start}
        missing = [label for label in course.eval_rows if label not in recorded]
        missing = cast("list[str]", run.world.broadcast(missing))  # rank 0 alone keeps the records
        if missing:
            _evaluate(run, course, start, missing)


def _evaluation_is_due(run: TrainState, course: Course, done: int) -> bool:
    interval = run.config.eval_interval
    if not course.eval_rows or interval.value <= 0:
        return False
    return done == course.timeline.total_batches or is_due(interval, course.timeline, done)


def _evaluate(run: TrainState, course: Course, done: int, labels: Iterable[str]) -> None:
    course.journal.phase("eval")
    run.world.heart.enter("eval")
    loaders = run.config.eval_loaders_by_label
    for label in labels:
        result = evaluate(run, course.eval_rows[label], drop_last=loaders[label].drop_last)
        course.journal.evaluation(done, label, result)
        if course.early_stop is not None:
            course.early_stop.update(done, label, {"loss": result.loss, "perplexity": result.perplexity})
    course.journal.phase("train")
