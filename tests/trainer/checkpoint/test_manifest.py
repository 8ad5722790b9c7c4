"""What a checkpoint says of itself, and whether it is one."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.manifest import (
    DamagedManifest,
    Identity,
    check_identity,
    checkpoint_name,
    checksum,
    complete_checkpoints,
    damaged_manifests,
    parse_name,
    read_manifest,
)
from support.manifests import IDENTITY, commit, manifest


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = manifest(5, 2, microbatch=4, weights_only=True)
    written.write(tmp_path)
    assert read_manifest(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_directory_without_a_manifest_is_no_checkpoint(tmp_path: Path) -> None:
    commit(tmp_path, 3, 0)
    unfinished = tmp_path / "checkpoints" / checkpoint_name(5, 0)
    unfinished.mkdir()
    (unfinished / "__0_0.distcp").write_bytes(b"half")
    (unfinished / ".manifest.json").write_text("{")
    (tmp_path / "checkpoints" / "step-of-somebody-else").write_text("a file")
    found = [directory.name for directory, _ in complete_checkpoints(tmp_path / "checkpoints")]
    assert found == [checkpoint_name(3, 0)]


@pytest.mark.parametrize("text", ["", '{"step": 5', "null", "{}", "[]", "\0" * 9, '{"step": 5, "identity": {}}'])
def test_a_damaged_manifest_is_told_and_makes_no_checkpoint(text: str, tmp_path: Path) -> None:
    directory = commit(tmp_path, 3, 0)
    (directory / "manifest.json").write_text(text)
    with pytest.raises(DamagedManifest, match=r"its manifest\.json is damaged"):
        read_manifest(directory)
    assert list(complete_checkpoints(tmp_path / "checkpoints")) == []
    assert [found for found, _ in damaged_manifests(tmp_path / "checkpoints")] == [directory]


def test_a_single_digit_that_changed_is_damage(tmp_path: Path) -> None:
    manifest(5, 2).write(tmp_path)
    file = tmp_path / "manifest.json"
    file.write_text(file.read_text().replace('"step": 5', '"step": 4'))
    with pytest.raises(DamagedManifest, match="SHA-256 differs"):
        read_manifest(tmp_path)


def test_a_manifest_from_before_there_was_a_seal_is_read(tmp_path: Path) -> None:
    manifest(5, 2).write(tmp_path)
    fields = json.loads((tmp_path / "manifest.json").read_text())
    del fields["sha256"]
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    assert read_manifest(tmp_path) == manifest(5, 2)


@pytest.mark.parametrize("change", [{"format": 2}, {"identity": {"model": "m"}}, {"step": None}])
def test_a_whole_manifest_of_another_version_is_refused_and_no_damage(change: dict[str, Any], tmp_path: Path) -> None:
    directory = commit(tmp_path, 5, 0)
    fields = json.loads((directory / "manifest.json").read_text()) | change
    del fields["sha256"]
    known = {key: value for key, value in fields.items() if value is not None or key == "microbatch"}
    seal = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    (directory / "manifest.json").write_text(json.dumps({**known, "sha256": seal}))
    for look in (complete_checkpoints, damaged_manifests):
        with pytest.raises(ConfigInvalid, match="written by another version of the trainer"):
            list(look(tmp_path / "checkpoints"))


def test_a_directory_in_the_place_of_a_manifest_is_damage(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(DamagedManifest):
        read_manifest(tmp_path)


def test_a_disk_that_cannot_be_read_now_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").symlink_to("manifest.json")  # too many levels: neither missing nor wrong
    with pytest.raises(Retryable, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_size_is_that_of_all_files() -> None:
    assert manifest(1, 0, files={"a": {"bytes": 3, "sha256": ""}, "b": {"bytes": 4, "sha256": ""}}).size == 7


def test_a_name_holds_step_and_attempt() -> None:
    assert checkpoint_name(12, 3) == "step-00000012-attempt-0003"
    assert parse_name("step-00000012-attempt-0003") == (12, 3)
    assert parse_name(checkpoint_name(123456789, 12345)) == (123456789, 12345)


def test_a_checkpoint_of_the_same_run_is_accepted(tmp_path: Path) -> None:
    check_identity(tmp_path, manifest(1, 0), IDENTITY)


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (Identity("other", "dataset", IDENTITY.order), "made with another model"),
        (Identity("model", "other", IDENTITY.order), "made with another dataset"),
        (
            Identity("model", "dataset", {**IDENTITY.order, "train_loader.dataset.shuffle_seed": 3}),
            r"^train_loader\.dataset\.shuffle_seed: .* was made with 0, now it is 3",
        ),
        (
            Identity("model", "dataset", {**IDENTITY.order, "global_train_batch_size": 4}),
            r"^global_train_batch_size: .* was made with 8, now it is 4",
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(
    identity: Identity, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        check_identity(tmp_path, manifest(1, 0), identity)


def test_a_checksum_is_size_and_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum(tmp_path / "file") == {"bytes": 3, "sha256": digest}
