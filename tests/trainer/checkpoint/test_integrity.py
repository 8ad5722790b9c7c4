"""Whether a checkpoint's files are what was written."""

from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.integrity import find_damage, require_intact
from finetune_trainer.checkpoint.manifest import Identity, Manifest, checksum
from support.training import ALONE


@pytest.fixture
def saved(tmp_path: Path) -> Manifest:
    for name in (".metadata", "__0_0.distcp", "__1_0.distcp"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    files: dict[str, Any] = {path.name: checksum(path) for path in tmp_path.iterdir()}
    return Manifest(1, 8, 0, "job", 1, None, "", Identity("", "", {}), False, {}, files)


def test_an_intact_one_has_no_damage(saved: Manifest, tmp_path: Path) -> None:
    assert find_damage(tmp_path, saved, ALONE) is None
    require_intact(tmp_path, saved, ALONE)


@pytest.mark.parametrize("name", [".metadata", "__0_0.distcp", "__1_0.distcp"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("truncated", r"has \d+ bytes instead of \d+"),
        ("flipped", "is not what was written"),
        ("missing", "is missing"),
        ("directory", "has .* bytes instead of|is a directory"),
    ],
)
def test_every_kind_of_damage_to_every_file_is_named(
    damage: str, words: str, name: str, saved: Manifest, tmp_path: Path
) -> None:
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "flipped":
        path.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    elif damage == "directory":
        path.mkdir()
    problem = find_damage(tmp_path, saved, ALONE)
    assert problem is not None
    assert problem.startswith(name)
    with pytest.raises(ConfigInvalid, match=words):
        require_intact(tmp_path, saved, ALONE)


def test_a_disk_that_cannot_be_read_now_is_retryable_and_no_damage(saved: Manifest, tmp_path: Path) -> None:
    (tmp_path / "__0_0.distcp").unlink()
    (tmp_path / "__0_0.distcp").symlink_to("__0_0.distcp")  # too many levels: neither missing nor wrong
    with pytest.raises(Retryable, match="could not be read: OSError"):
        find_damage(tmp_path, saved, ALONE)
