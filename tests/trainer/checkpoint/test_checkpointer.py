"""The checkpoints of one attempt: exact resumption, identity, claims, rotation."""

import errno
import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.checkpointer import Checkpointer, model_fingerprint
from finetune_trainer.checkpoint.claims import read_claims
from finetune_trainer.checkpoint.folder import checkpoint_folder
from finetune_trainer.checkpoint.manifest import Identity, checkpoint_name, complete_checkpoints, read_manifest
from finetune_trainer.checkpoint.takeover import StartingPoint, explicit_checkpoint
from finetune_trainer.train.layouts import Layout
from finetune_trainer.train.state import TrainState
from finetune_trainer.train.step import train_step
from finetune_trainer.train.timeline import Timeline
from support.power import Disk
from support.training import (
    ALONE,
    dataset_of,
    load_gpt2,
    random_rows,
    same,
    take_over,
    tiny_llama,
    training_config,
    training_state,
    weights,
)

DATASET = dataset_of(random_rows(10, seed=7))
WARMUP = {"optimizer": {"name": "decoupled_adamw", "lr": 1e-2, "weight_decay": 0.01}, "max_duration": "6ba"}


class Attempt:
    """One attempt on an output directory, from its claim on."""

    def __init__(
        self,
        output: Path,
        model: Path,
        number: int = 0,
        *,
        uid: str = "job",
        changes: dict[str, Any] | None = None,
        layout: Layout = Layout.TRIMMED,
        dataset: str = "dataset",
    ) -> None:
        config = training_config(model, WARMUP | (changes or {}))
        self.folder = checkpoint_folder(output, config)
        own, self.start = take_over(output, self.folder, attempt=number, uid=uid)
        self.state: TrainState = training_state(config, load_gpt2(model), layout=layout)
        self.timeline = Timeline.of(config, DATASET.lengths)
        identity = Identity(model_fingerprint(self.state.model), dataset, self.timeline.order_settings())
        self.checkpointer = Checkpointer(output, self.folder, own, identity, config, ALONE, last_saved=-1)

    def restore(self, start: StartingPoint | None = None) -> None:
        run = self.state
        self.checkpointer.restore(start or self.start, run.model, run.optimizer, run.scale)

    def save(self, step: int, **options: Any) -> Path:
        run = self.state
        return self.checkpointer.save(step, 4 * step, run.model, run.optimizer, run.scale, **options)

    def train(self, first: int, last: int) -> list[float]:
        """Take steps `first` to `last` with a rate that changes, and return their losses."""
        return [
            train_step(self.state, DATASET, self.timeline.rows(step - 1), step, step / 6).loss
            for step in range(first, last + 1)
        ]


def saved(attempt: Attempt) -> list[str]:
    return [directory.name for directory, _ in complete_checkpoints(attempt.folder)]


@pytest.mark.parametrize("at", [0, 1, 3, 6])
@pytest.mark.parametrize("optimizer", ["decoupled_adamw", "adamw", "decoupled_lionw"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_by_bit(
    optimizer: str, at: int, dropout_dir: Path, tmp_path: Path
) -> None:
    changes = {"optimizer": {"name": optimizer, "lr": 1e-2, "weight_decay": 0.01}}
    whole = Attempt(tmp_path / "whole", dropout_dir, changes=changes)
    losses = whole.train(1, 6)
    first = Attempt(tmp_path / "cut", dropout_dir, changes=changes)
    first.train(1, at)
    first.save(at)
    second = Attempt(tmp_path / "cut", dropout_dir, 1, changes=changes)
    assert second.start.step == at
    second.restore()
    assert second.train(at + 1, 6) == losses[at:]
    assert same(weights(whole.state.model), weights(second.state.model))


def test_the_loss_scale_of_float16_is_resumed_too(gpt2_dir: Path, tmp_path: Path) -> None:
    first = Attempt(tmp_path, gpt2_dir, changes={"precision": "amp_fp16"})
    first.state.scale.accepts(finite=False, step=1)
    first.save(1)
    second = Attempt(tmp_path, gpt2_dir, 1, changes={"precision": "amp_fp16"})
    second.restore()
    assert second.state.scale.state() == first.state.scale.state()


def test_a_manifest_says_what_was_saved_and_by_whom(gpt2_dir: Path, tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, gpt2_dir, 2, changes={"device_train_microbatch_size": 3})
    directory = attempt.save(5)
    assert directory == tmp_path / "checkpoints" / checkpoint_name(5, 2)
    manifest = explicit_checkpoint(directory).manifest
    assert manifest is not None
    assert (manifest.step, manifest.samples, manifest.attempt, manifest.uid) == (5, 20, 2, "job")
    assert (manifest.world_size, manifest.microbatch, manifest.weights_only) == (1, 3, False)


def test_another_model_is_refused(gpt2_dir: Path, tmp_path: Path) -> None:
    first = Attempt(tmp_path, gpt2_dir)
    first.save(1)
    second = Attempt(tmp_path, gpt2_dir, 1)
    second.checkpointer.identity = Identity(model_fingerprint(tiny_llama()), "dataset", first.timeline.order_settings())
    with pytest.raises(ConfigInvalid, match="made with another model"):
        second.restore()


def test_another_dataset_is_refused_unless_only_weights_are_wanted(gpt2_dir: Path, tmp_path: Path) -> None:
    first = Attempt(tmp_path, gpt2_dir)
    first.train(1, 2)
    first.save(2)
    second = Attempt(tmp_path, gpt2_dir, 1, dataset="other")
    with pytest.raises(ConfigInvalid, match="made with another dataset"):
        second.restore()
    second.checkpointer.restore_weights(second.start, second.state.model)
    assert same(weights(first.state.model), weights(second.state.model))


def test_another_order_of_rows_is_refused_by_its_key(gpt2_dir: Path, tmp_path: Path) -> None:
    Attempt(tmp_path, gpt2_dir).save(1)
    with pytest.raises(ConfigInvalid, match=r"^global_train_batch_size: .* was made with 4, now it is 2"):
        Attempt(tmp_path, gpt2_dir, 1, changes={"global_train_batch_size": 2}).restore()


def test_a_fingerprint_tells_architectures_apart_but_not_weights(gpt2_dir: Path) -> None:
    model = load_gpt2(gpt2_dir)
    before = model_fingerprint(model)
    with torch.no_grad():
        model.transformer.ln_f.bias.add_(1)
    assert model_fingerprint(model) == before != model_fingerprint(tiny_llama())


def test_a_checkpoint_of_weights_cannot_be_resumed_and_says_what_to_write(gpt2_dir: Path, tmp_path: Path) -> None:
    first = Attempt(tmp_path / "first", gpt2_dir)
    first.train(1, 1)
    given = explicit_checkpoint(first.save(1, weights_only=True))
    second = Attempt(tmp_path / "second", gpt2_dir)
    with pytest.raises(ConfigInvalid, match="load_weights_only: true"):
        second.restore(given)
    second.checkpointer.restore_weights(given, second.state.model)
    assert same(weights(first.state.model), weights(second.state.model))


def test_weights_alone_do_not_count_as_saved(gpt2_dir: Path, tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)
    attempt.save(2, weights_only=True)
    assert attempt.checkpointer.last_saved == -1
    attempt.save(2)
    assert attempt.checkpointer.last_saved == 2
    assert Attempt(tmp_path, gpt2_dir, 1).start.step == 2


class Killed(BaseException):
    """The process ends here."""


def test_weights_that_make_way_for_the_whole_state_are_gone_at_once(
    gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)
    attempt.save(2, weights_only=True)

    def killed_half_way(path: Path, **_: Any) -> None:
        (path / "__0_0.distcp").unlink()
        raise Killed

    monkeypatch.setattr(shutil, "rmtree", killed_half_way)
    with pytest.raises(Killed):
        attempt.save(2)
    assert saved(attempt) == []


def test_what_tells_of_its_steps_is_made_durable_before_a_checkpoint_exists(gpt2_dir: Path, tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)
    existing: list[list[str]] = []
    attempt.checkpointer.sync_records = lambda: existing.append(saved(attempt))
    attempt.save(1)
    attempt.save(2, weights_only=True)
    assert existing == [[], [checkpoint_name(1, 0)]]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_without_it_there_is_no_checkpoint(number: int, gpt2_dir: Path, tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    attempt.checkpointer.sync_records = fail
    with pytest.raises(Retryable, match=r"step-00000001-attempt-0000 could not be saved: "):
        attempt.save(1)
    assert list(attempt.folder.iterdir()) == []


def test_a_checkpoint_outlives_a_loss_of_power_with_the_claim_of_who_saved_it(
    gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk().install(monkeypatch)
    attempt = Attempt(tmp_path, gpt2_dir)
    attempt.save(1)
    assert disk.lost(attempt.folder) == []
    assert disk.lost(tmp_path / "attempts") == []


@pytest.mark.parametrize(
    ("number", "left"),
    [(errno.ENOSPC, 0), (errno.EDQUOT, 0), (errno.EIO, 1), (errno.ESTALE, 1), (errno.EROFS, 1)],
)
def test_what_was_set_aside_makes_room_on_a_full_disk_and_stays_when_something_else_failed(
    number: int, left: int, gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)
    (attempt.folder / f"damaged-{checkpoint_name(1, 0)}").mkdir(parents=True)

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(Retryable, match=r"step-00000002-attempt-0000 could not be saved: "):
            attempt.save(2)
    assert len(list(attempt.folder.iterdir())) == left


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let nothing be renamed any more, as on a volume that has become read-only."""

    def refuse(path: Path, target: Path) -> Path:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    return lambda: monkeypatch.setattr(Path, "rename", refuse)


def test_a_commit_on_a_volume_gone_read_only_says_which_checkpoint_was_not_saved(
    read_only: Callable[[], None], gpt2_dir: Path, tmp_path: Path
) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)
    manifest = read_manifest(attempt.save(1))
    assert manifest is not None
    directory = attempt.folder / checkpoint_name(2, 0)
    directory.mkdir()
    read_only()
    with pytest.raises(Retryable, match=r"step-00000002-attempt-0000 could not be saved: .*Read-only"):
        attempt.checkpointer._commit(directory, manifest)


def test_a_save_on_a_volume_gone_read_only_does_so_even_if_there_is_room_to_be_made(
    read_only: Callable[[], None], gpt2_dir: Path, tmp_path: Path
) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)
    attempt.save(2, weights_only=True)
    (attempt.folder / f"damaged-{checkpoint_name(1, 0)}").mkdir()
    read_only()
    with pytest.raises(Retryable, match=r"step-00000002-attempt-0000 could not be saved: .*Read-only"):
        attempt.save(2)


def test_only_as_many_as_wanted_are_kept_and_never_none(gpt2_dir: Path, tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, gpt2_dir, changes={"save_num_checkpoints_to_keep": 2})
    for step in (1, 2, 3, 4):
        attempt.save(step)
    assert saved(attempt) == [checkpoint_name(3, 0), checkpoint_name(4, 0)]
    last = Attempt(tmp_path, gpt2_dir, 1, changes={"save_num_checkpoints_to_keep": 0})
    last.save(5)
    assert saved(last) == [checkpoint_name(5, 1)]


def test_an_attempt_that_was_overtaken_commits_nothing(gpt2_dir: Path, tmp_path: Path) -> None:
    first = Attempt(tmp_path, gpt2_dir, changes={"save_num_checkpoints_to_keep": 1})
    first.save(1)
    second = Attempt(tmp_path, gpt2_dir, 1)
    with pytest.raises(Retryable, match="attempt 1 has taken over"):
        first.save(2)
    assert saved(first) == [checkpoint_name(1, 0)]
    assert second.start.directory == tmp_path / "checkpoints" / checkpoint_name(1, 0)
    second.restore()


def test_a_new_attempt_sweeps_up_what_earlier_ones_left_half_done(gpt2_dir: Path, tmp_path: Path) -> None:
    first = Attempt(tmp_path, gpt2_dir)
    first.save(1)
    half = first.folder / checkpoint_name(2, 0)
    half.mkdir()
    (half / "__0_0.distcp").write_bytes(b"half")
    second = Attempt(tmp_path, gpt2_dir, 1)
    assert not half.exists()
    assert second.start.step == 1


def test_an_output_of_another_job_is_refused_before_anything_is_claimed(gpt2_dir: Path, tmp_path: Path) -> None:
    Attempt(tmp_path, gpt2_dir)
    with pytest.raises(ConfigInvalid, match="another job"):
        Attempt(tmp_path, gpt2_dir, 1, uid="stranger")
    assert len(read_claims(tmp_path)) == 1


def test_a_job_that_names_another_starts_where_that_one_was(gpt2_dir: Path, tmp_path: Path) -> None:
    first = Attempt(tmp_path, gpt2_dir)
    first.save(3)
    own, start = take_over(tmp_path, first.folder, attempt=1, uid="heir", resume_from="job")
    assert (own.base, start.step) == (checkpoint_name(3, 0), 3)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_the_run_ends_alike(
    dropout_dir: Path, tmp_path: Path
) -> None:
    whole = Attempt(tmp_path / "whole", dropout_dir)
    losses = whole.train(1, 6)
    first = Attempt(tmp_path / "cut", dropout_dir)
    for step in (1, 2, 3):
        first.train(step, step)
        last = first.save(step)
    with (last / "__0_0.distcp").open("r+b") as file:
        file.truncate(100)
    second = Attempt(tmp_path / "cut", dropout_dir, 1)
    assert (second.start.step, read_claims(tmp_path / "cut")[0].base) == (2, checkpoint_name(2, 0))
    second.restore()
    assert second.train(3, 6) == losses[2:]
    assert same(weights(whole.state.model), weights(second.state.model))


def test_the_oldest_go_when_they_take_more_than_the_budget(gpt2_dir: Path, tmp_path: Path) -> None:
    one = Attempt(tmp_path / "one", gpt2_dir)
    one.save(1)
    size = next(complete_checkpoints(one.folder))[1].size
    attempt = Attempt(tmp_path / "many", gpt2_dir, changes={"save_max_bytes": 2 * size + size // 2})
    for step in (1, 2, 3):
        attempt.save(step)
    assert saved(attempt) == [checkpoint_name(2, 0), checkpoint_name(3, 0)]


def test_a_budget_that_is_too_small_for_one_is_told_once_and_the_newest_stays(gpt2_dir: Path, tmp_path: Path) -> None:
    told: list[str] = []
    attempt = Attempt(tmp_path, gpt2_dir, changes={"save_max_bytes": "1KiB"})
    attempt.checkpointer.warn = told.append
    for step in (1, 2):
        attempt.save(step)
    assert saved(attempt) == [checkpoint_name(2, 0)]
    assert len(told) == 1
    assert "save_max_bytes: one checkpoint takes" in told[0]
    assert "more than 1.0 KiB" in told[0]


def test_the_base_of_an_attempt_that_saved_only_weights_stays_though_a_late_commit_looks_newer(
    gpt2_dir: Path, tmp_path: Path
) -> None:
    keep = {"save_num_checkpoints_to_keep": 1}
    first = Attempt(tmp_path, gpt2_dir, changes=keep)
    base = first.save(1)
    second = Attempt(tmp_path, gpt2_dir, 1, changes=keep)
    late = Path(shutil.copytree(base, first.folder / checkpoint_name(2, 0)))
    manifest = read_manifest(base)
    assert manifest is not None
    replace(manifest, step=2).write(late)
    second.save(3, weights_only=True)
    third = Attempt(tmp_path, gpt2_dir, 2)
    assert third.start.directory == first.folder / checkpoint_name(1, 0)


def test_a_disk_that_fills_up_is_retryable_and_leaves_the_earlier_checkpoint(gpt2_dir: Path, tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, gpt2_dir)
    attempt.save(1)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))  # what is longer cannot be written
    try:
        with pytest.raises(Retryable, match="could not be saved"):
            attempt.save(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in attempt.folder.iterdir()] == [checkpoint_name(1, 0)]
    assert attempt.checkpointer.last_saved == 1


@pytest.mark.parametrize("inside", ["", "checkpoints", f"checkpoints/{checkpoint_name(3, 1)}"])
def test_load_path_may_name_an_output_its_folder_or_one_checkpoint(inside: str, gpt2_dir: Path, tmp_path: Path) -> None:
    Attempt(tmp_path, gpt2_dir).save(7)
    Attempt(tmp_path, gpt2_dir, 1).save(3)
    assert explicit_checkpoint(tmp_path / inside).directory == tmp_path / "checkpoints" / checkpoint_name(3, 1)


def test_load_path_without_a_checkpoint_is_a_mistake(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigInvalid, match=r"load_path: .* holds no complete checkpoint"):
            explicit_checkpoint(path)


def test_a_run_that_begins_starts_at_step_zero() -> None:
    assert StartingPoint(None, None).step == 0


def test_two_jobs_may_not_share_a_folder_of_checkpoints(gpt2_dir: Path, tmp_path: Path) -> None:
    shared = {"save_folder": str(tmp_path / "shared")}
    Attempt(tmp_path / "one", gpt2_dir, changes=shared).save(1)
    with pytest.raises(ConfigInvalid, match=r"save_folder: .* another job"):
        Attempt(tmp_path / "two", gpt2_dir, uid="stranger", changes=shared)
