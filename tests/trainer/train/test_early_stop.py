"""Stopping a run whose evaluation no longer improves."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune_api.errors import ConfigInvalid
from finetune_trainer.train.early_stop import EarlyStop, early_stop
from finetune_trainer.train.timeline import Timeline
from support.training import training_config

EVALUATION = {"name": "finetuning", "dataset": {"hf_name": "json", "split": "validation"}}


def stopper(**settings: Any) -> EarlyStop:
    """Return a stopper on a run of three batches per epoch, for ten epochs."""
    callbacks = {"early_stopper": {"monitor": "loss", **settings}}
    config = training_config(Path("gpt2"), {"callbacks": callbacks, "eval_loader": EVALUATION, "max_duration": "10ep"})
    found = early_stop(config, Timeline.of(config, np.ones(12, dtype=np.int64)))
    assert found is not None
    return found


def exhausted_after(watch: EarlyStop, losses: list[float]) -> list[bool]:
    """Give the losses at the ends of epochs."""
    seen = []
    for epoch, loss in enumerate(losses, 1):
        watch.update(3 * epoch, "eval", {"loss": loss, "perplexity": math.exp(loss)})
        seen.append(watch.exhausted)
    return seen


def test_patience_runs_out_once_more_than_it_has_passed_since_the_best() -> None:
    assert exhausted_after(stopper(patience="2ep"), [3.0, 2.0, 2.5, 2.2, 2.1]) == [False] * 4 + [True]


def test_an_improvement_renews_patience() -> None:
    assert exhausted_after(stopper(patience="1ep"), [3.0, 3.1, 2.9, 3.0, 2.8]) == [False] * 5


def test_too_small_an_improvement_is_none() -> None:
    assert exhausted_after(stopper(patience="1ep", min_delta=0.5), [3.0, 2.8, 2.6]) == [False, False, True]


def test_greater_can_be_the_better_direction() -> None:
    assert exhausted_after(stopper(comp="greater"), [1.0, 2.0, 3.0, 2.0, 1.0]) == [False] * 4 + [True]


@pytest.mark.parametrize("name", ["loss", "LanguageCrossEntropy", "perplexity", "LanguagePerplexity"])
def test_both_metrics_are_known_by_both_names(name: str) -> None:
    assert exhausted_after(stopper(monitor=name), [2.0, 1.0, 1.5, 1.6]) == [False, False, False, True]


def test_a_metric_that_is_never_measured_is_a_mistake() -> None:
    with pytest.raises(ConfigInvalid, match=r"callbacks\.early_stopper\.monitor: 'accuracy' is not measured"):
        stopper(monitor="accuracy")


def test_other_evaluations_do_not_count() -> None:
    watch = stopper()
    watch.update(3, "eval", {"loss": 1.0, "perplexity": math.e})
    watch.update(30, "another", {"loss": 9.0, "perplexity": 9.0})
    assert not watch.exhausted


def test_what_earlier_attempts_recorded_is_replayed() -> None:
    losses = [2.0, 1.0, 1.5, 1.6]
    lines = [{"label": "eval", "step": 3 * i, "loss": x, "perplexity": math.exp(x)} for i, x in enumerate(losses, 1)]
    watch = stopper()
    watch.replay(lines[:3])
    assert not watch.exhausted
    watch.replay(lines[3:])
    assert watch.exhausted


def test_a_perplexity_too_large_to_be_recorded_is_worse_than_any_other() -> None:
    watch = stopper(monitor="perplexity")
    watch.replay([{"label": "eval", "step": 3, "loss": 900.0, "perplexity": None}])
    watch.update(12, "eval", {"loss": math.nan, "perplexity": math.nan})
    assert watch.exhausted
    watch.update(15, "eval", {"loss": 2.0, "perplexity": 7.0})
    assert not watch.exhausted


@pytest.mark.parametrize(("patience", "epochs"), [("2ep", 2), ("6ba", 2), ("24sp", 2), ("24tok", 2), ("0.2dur", 2)])
def test_patience_may_be_given_in_any_unit(patience: str, epochs: int) -> None:
    seen = exhausted_after(stopper(patience=patience), [1.0] * 9)
    assert seen.index(True) == epochs + 1
    late = stopper(patience=patience)
    assert exhausted_after(late, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 3.0, 3.0, 3.0])[-2:] == [False, True]


def test_without_the_callback_nothing_stops_a_run() -> None:
    config = training_config(Path("gpt2"))
    assert early_stop(config, Timeline.of(config, np.ones(12, dtype=np.int64))) is None
