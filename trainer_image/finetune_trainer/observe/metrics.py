"""A run's progress as Prometheus metrics, read from its state at each scrape."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from finetune_trainer.observe.state import RunState

PHASES = ("import", "prepare", "load", "train", "eval", "save", "export", "done")

GAUGES = (
    ("step", "finetune_step", "Optimizer steps finished."),
    ("total_steps", "finetune_total_steps", "Optimizer steps of the whole run."),
    ("epoch", "finetune_epoch", "The epoch under way, counted from 0."),
    ("loss", "finetune_loss", "Training loss of the last step, per target token."),
    ("eval_loss", "finetune_eval_loss", "Loss of the last evaluation, per target token."),
    ("lr", "finetune_learning_rate", "Learning rate of the last step."),
    ("tokens_per_second", "finetune_tokens_per_second", "Tokens per second, all ranks, without padding."),
    ("eta_seconds", "finetune_eta_seconds", "Estimated seconds until the last step."),
    ("last_step_time", "finetune_last_step_timestamp_seconds", "When the last step ended, Unix time."),
    ("step_seconds", "finetune_longest_step_seconds", "The longest step of this attempt after its first."),
    ("save_seconds", "finetune_longest_save_seconds", "The longest save of this attempt."),
    (
        "last_checkpoint_step",
        "finetune_last_checkpoint_step",
        "Step of the newest checkpoint that a run can resume from.",
    ),
    (
        "last_checkpoint_time",
        "finetune_last_checkpoint_timestamp_seconds",
        "When the newest checkpoint was complete, Unix time.",
    ),
)
"""The field of `Progress`, the metric and its help; a metric that is not known yet is left out."""


class ProgressCollector(Collector):
    """Reads the state once per scrape, so that every metric of one answer belongs to the same moment."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a gauge for each known field, and one series per phase: 1 for the phase under way."""
        progress = self._state.progress
        for field, name, meaning in GAUGES:
            value = getattr(progress, field)
            if value is not None:
                yield GaugeMetricFamily(name, meaning, value=float(value))
        phases = GaugeMetricFamily("finetune_phase", "1 for the phase under way, else 0.", labels=["phase"])
        for phase in PHASES:
            phases.add_metric([phase], float(phase == progress.phase))
        yield phases


def registry_of(state: RunState) -> CollectorRegistry:
    """Return a registry of its own for this run, so that a second run in one process never collides."""
    registry = CollectorRegistry()
    registry.register(ProgressCollector(state))
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """Return the registry in Prometheus's text format."""
    return generate_latest(registry)
