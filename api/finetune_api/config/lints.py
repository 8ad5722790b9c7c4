"""Warnings about a valid configuration: it will run, but perhaps not as its author thinks."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from finetune_api.config.scheduler import WHOLE_RUN, schedule_length, schedule_unit
from finetune_api.config.training import TrainingConfig
from finetune_api.errors import Problem

_FAR_ABOVE: Final = 2
"""How many times the longest row `max_seq_len` may be before it is worth a word."""


def lint(
    config: TrainingConfig,
    *,
    cpus: int | None = None,
    longest_row: int | None = None,
    total_batches: int | None = None,
) -> list[Problem]:
    """Return warnings; knowing the CPUs, the longest row in tokens and the batches of the run adds some."""
    return [
        *_long_warmup(config, total_batches),
        *_nothing_saved(config, total_batches),
        *_workers(config, cpus),
        *_long_sequences(config, longest_row),
        *_relative_data(config),
    ]


def _long_warmup(config: TrainingConfig, total_batches: int | None) -> Iterator[Problem]:
    warmup, run = config.scheduler.t_warmup, config.max_duration
    unit = schedule_unit(warmup, run)
    length = _batches(config, total_batches) if unit == "ba" else schedule_length(WHOLE_RUN, run, None)
    time = schedule_length(warmup, run, _batches_per_epoch(config, total_batches))
    if time is not None and length is not None and time > length:
        yield Problem(
            "scheduler.t_warmup",
            f"the warmup ({time:g}{unit}) is longer than the run ({length:g}{unit}), "
            "so the learning rate never reaches its peak",
            "shorten t_warmup",
        )


def _nothing_saved(config: TrainingConfig, total_batches: int | None) -> Iterator[Problem]:
    if _longer_than_run(config, total_batches):
        yield Problem(
            "save_interval",
            f"{config.save_interval} is longer than the run, so nothing is saved before its end",
            "shorten save_interval to survive an interruption",
        )


def _longer_than_run(config: TrainingConfig, total_batches: int | None) -> bool:
    interval, run = config.save_interval, config.max_duration
    if schedule_unit(interval, run) != schedule_unit(WHOLE_RUN, run):
        return False
    per_epoch = _batches_per_epoch(config, total_batches)
    if interval.unit == run.unit:
        return interval.value > run.value
    time, length = schedule_length(interval, run, per_epoch), schedule_length(WHOLE_RUN, run, per_epoch)
    return time is not None and length is not None and time > length


def _batches(config: TrainingConfig, total_batches: int | None) -> float | None:
    known = config.max_duration.value if config.max_duration.unit == "ba" else None
    return known if total_batches is None else total_batches


def _batches_per_epoch(config: TrainingConfig, total_batches: int | None) -> int | None:
    if total_batches is None or config.max_duration.unit != "ep":
        return None
    return round(total_batches / config.max_duration.value)


def _workers(config: TrainingConfig, cpus: int | None) -> Iterator[Problem]:
    workers = config.train_loader.num_workers
    if cpus is not None and workers > cpus:
        yield Problem(
            "train_loader.num_workers",
            f"{workers} workers on {cpus} CPU{'s' if cpus > 1 else ''}",
            f"use at most {cpus}",
        )


def _long_sequences(config: TrainingConfig, longest_row: int | None) -> Iterator[Problem]:
    length = config.train_loader.dataset.max_seq_len
    if longest_row is not None and length > _FAR_ABOVE * longest_row:
        yield Problem(
            "max_seq_len",
            f"{length} is far above the longest row, {longest_row} tokens",
            f"{longest_row} would do",
        )


def _relative_data(config: TrainingConfig) -> Iterator[Problem]:
    data_dir = config.train_loader.dataset.hf_kwargs.get("data_dir")
    if isinstance(data_dir, str) and "://" not in data_dir and not PurePosixPath(data_dir).is_absolute():
        yield Problem(
            "train_loader.dataset.hf_kwargs.data_dir",
            f"{data_dir} is relative to the directory the run is started in",
            "write an absolute path",
        )
