import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finetune_api.errors import ConfigInvalid
from finetune_trainer.data.cache import Cache, default_cache
from finetune_trainer.data.prepared import PreparedData, PreparedSplit

SHA = "a" * 64


def build(directory: Path, content: bytes = b"rows") -> PreparedData:
    path = directory / "0-train.arrow"
    path.write_bytes(content)
    split = PreparedSplit(
        name="train",
        path=path,
        sha256="b" * 64,
        rows_sha256="rows",
        rows=1,
        tokens=2,
        loss_tokens=1,
        longest=2,
        max_token_id=5,
        truncated=0,
        source_rows=1,
        size=len(content),
    )
    return PreparedData(directory, SHA, {"train": split})


def published(cache: Cache, content: bytes = b"rows") -> PreparedData:
    with cache.building() as directory:
        return cache.publish(build(directory, content))


def left_in(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "prepared").iterdir())


def test_what_is_published_is_found_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.find(SHA) is None
    data = published(cache)
    assert cache.find(SHA) == data
    assert data.splits["train"].path.read_bytes() == b"rows"
    assert left_in(tmp_path) == [SHA]


def test_an_error_while_building_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def interrupted() -> None:
        with cache.building() as directory:
            build(directory)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert left_in(tmp_path) == []


def test_of_two_that_build_the_same_the_first_wins_and_both_have_it(tmp_path: Path) -> None:
    one, two = Cache(tmp_path), Cache(tmp_path)
    with one.building() as first, two.building() as second:
        assert first != second
        mine, theirs = one.publish(build(first)), two.publish(build(second))
    assert mine == theirs
    assert left_in(tmp_path) == [SHA]


def test_a_damaged_directory_is_built_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    published(cache).splits["train"].path.write_bytes(b"ro")
    assert cache.find(SHA) is None
    assert published(cache).splits["train"].path.read_bytes() == b"rows"
    (tmp_path / "prepared" / SHA / "prepared.json").write_text("{")
    assert cache.find(SHA) is None


def start_builder(root: Path) -> "subprocess.Popen[str]":
    source = (
        "import sys, time\nfrom pathlib import Path\nfrom finetune_trainer.data.cache import Cache\n"
        f"with Cache(Path({str(root)!r})).building() as d:\n"
        "    (d / 'part').write_text('x')\n    print('building', flush=True)\n    time.sleep(600)\n"
    )
    builder = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert builder.stdout is not None
    assert builder.stdout.readline() == "building\n"
    return builder


def test_what_a_killed_builder_leaves_is_removed_by_the_next_and_a_living_ones_is_not(tmp_path: Path) -> None:
    living, killed = start_builder(tmp_path), start_builder(tmp_path)
    try:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert len([name for name in left_in(tmp_path) if not name.endswith(".lock")]) == 2
        published(Cache(tmp_path))
        left = [name for name in left_in(tmp_path) if not name.endswith(".lock")]
        assert len(left) == 2
        assert SHA in left
    finally:
        living.kill()
        for builder in (living, killed):
            builder.communicate()
    with Cache(tmp_path).building():
        pass
    assert left_in(tmp_path) == [SHA]


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.recall("k") is None
    cache.remember("k", {"files": ["a"]})
    assert cache.recall("k") == {"files": ["a"]}
    (tmp_path / "remembered/k.json").write_text("{")
    assert cache.recall("k") is None


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigInvalid, match=r"prepared data cannot be written here.*FINETUNE_CACHE"):
        published(Cache(tmp_path / "file"))


def test_the_default_place_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_CACHE", "/big/disk")
    assert default_cache() == Path("/big/disk")
    monkeypatch.delenv("FINETUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert default_cache() == Path("/caches/finetune")
