"""Stop a run whose evaluation no longer improves (the `early_stopper` callback)."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from finetune_api.config import TrainingConfig
from finetune_api.config.observing import EarlyStopper
from finetune_api.errors import ConfigInvalid
from finetune_trainer.train.intervals import elapsed
from finetune_trainer.train.timeline import Timeline

# LLM Foundry's names of its two language-model metrics stand for ours.
_METRICS = {
    "loss": "loss",
    "LanguageCrossEntropy": "loss",
    "perplexity": "perplexity",
    "LanguagePerplexity": "perplexity",
}


class EarlyStop:
    """Remembers the best evaluation and how long ago it was."""

    def __init__(self, settings: EarlyStopper, timeline: Timeline) -> None:
        self._label = settings.dataloader_label
        self._metric = _METRICS[settings.monitor]
        self._sign = -1.0 if settings.comp == "greater" else 1.0
        self._patience = settings.patience
        self._min_delta = settings.min_delta
        self._timeline = timeline
        self._best: tuple[float, int] | None = None
        self.exhausted = False

    def replay(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take in the evaluations that earlier attempts recorded in the metrics file."""
        for line in lines:
            self.update(line["step"], line["label"], {"loss": line["loss"], "perplexity": line["perplexity"]})

    def update(self, step: int, label: str, metrics: Mapping[str, float | None]) -> None:
        """Take in one evaluation after `step` steps; sets `exhausted` once patience has run out."""
        if label != self._label:
            return
        value = self._cost(metrics[self._metric])
        if self._best is None or value < self._best[0] - self._min_delta:
            self._best = value, step
        unit = self._patience.unit
        waited = elapsed(unit, self._timeline, step) - elapsed(unit, self._timeline, self._best[1])
        self.exhausted = waited > self._patience.value + 1e-9  # eight tenths less seven are a little over one

    def _cost(self, measured: float | None) -> float:
        """Return what is to become small; the metrics file holds null for what was not finite."""
        return self._sign * measured if measured is not None and math.isfinite(measured) else math.inf


def early_stop(config: TrainingConfig, timeline: Timeline) -> EarlyStop | None:
    """Return the configured early stopper; raises ConfigInvalid when it watches what is never measured."""
    settings = config.callbacks.early_stopper
    if settings is None:
        return None
    if settings.monitor not in _METRICS:
        raise ConfigInvalid(
            f"callbacks.early_stopper.monitor: {settings.monitor!r} is not measured",
            hint=f"Write one of {', '.join(_METRICS)}.",
        )
    return EarlyStop(settings, timeline)
