"""Whether a checkpoint's files are what was written."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.integrity import find_damage, require_intact
from finetune_trainer.checkpoint.manifest import BLOCK_BYTES, Identity, Manifest, checksum
from finetune_trainer.train.world import World
from support.training import ALONE, Pulse


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


def test_every_block_that_is_read_is_a_sign_of_life_however_large_the_file(saved: Manifest, tmp_path: Path) -> None:
    heart = Pulse()
    path = tmp_path / "__0_0.distcp"
    path.write_bytes(b"x" * (2 * BLOCK_BYTES + 1))
    large = replace(saved, files={**saved.files, path.name: checksum(path)})
    assert find_damage(tmp_path, large, replace(ALONE, heart=heart)) is None
    assert heart.touches == 3 + 2  # and one for each of the small files


def test_a_disk_that_cannot_be_read_now_is_retryable_and_no_damage(saved: Manifest, tmp_path: Path) -> None:
    (tmp_path / "__0_0.distcp").unlink()
    (tmp_path / "__0_0.distcp").symlink_to("__0_0.distcp")  # too many levels: neither missing nor wrong
    with pytest.raises(Retryable, match="could not be read: OSError"):
        find_damage(tmp_path, saved, ALONE)


class Table:
    """Where two threads, in the place of two ranks, lay down what they tell each other."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2)
        self.told: list[object] = [None, None]

    def exchange(self, rank: int, value: object) -> list[object]:
        self.told[rank] = value
        self.barrier.wait(30)
        answer = list(self.told)
        self.barrier.wait(30)
        return answer


@dataclass(frozen=True)
class Seat(World):
    """The world as one of two threads sees it."""

    table: Table = field(default_factory=Table)

    def gather(self, value: object) -> list[object]:
        return self.table.exchange(self.rank, value)

    def broadcast(self, value: object) -> object:
        return self.table.exchange(self.rank, value)[0]


def seen_by_two(saved: Manifest, *folders: Path) -> list[str]:
    """What each of two ranks comes to, whose mounts of the checkpoint lie at `folders`."""
    table = Table()

    def look(rank: int) -> str:
        try:
            return str(find_damage(folders[rank], saved, Seat(rank, 2, 0, torch.device("cpu"), table=table)))
        except Retryable as error:
            return f"Retryable: {error}"

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(look, (0, 1)))


def test_ranks_that_see_the_same_agree_on_the_damage(saved: Manifest, tmp_path: Path) -> None:
    assert seen_by_two(saved, tmp_path, tmp_path) == ["None", "None"]
    (tmp_path / "__0_0.distcp").unlink()  # of the three files the second, which rank 1 reads
    assert seen_by_two(saved, tmp_path, tmp_path) == ["__0_0.distcp is missing"] * 2


def test_what_one_machine_does_not_see_is_no_damage_but_its_mount_is_named(saved: Manifest, tmp_path: Path) -> None:
    first, second = seen_by_two(saved, tmp_path, tmp_path / "empty")
    assert first == second
    assert first.startswith(f"Retryable: checkpoint {tmp_path}: __0_0.distcp is missing on ")
    assert "(rank 1), but is intact on" in first
    assert "mount" in first
