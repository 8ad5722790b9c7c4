"""Several fetchers of one thing: one that was given up may live on, on a node that answers nobody."""

from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_trainer.fetch.place import fetch_into
from finetune_trainer.fetch.request import Request

REQUEST = Request.parse("dataset", "https://127.0.0.1/train.jsonl")
HALF, ALL = b"first half, ", b"first half, second half"


class Source:
    """Gives one file in two halves, and goes on where it was; something may happen in between, or afterwards."""

    def __init__(self, *, meanwhile: Callable[[], None] | None = None, after: Callable[[], None] | None = None) -> None:
        self.meanwhile, self.after = meanwhile, after
        self.found = 0

    def version(self) -> str:
        return "1" * 40

    def download(self, directory: Path) -> None:
        file, aside = directory / "train.jsonl", directory / ".train.jsonl.part"
        if file.exists():
            self.found = len(ALL)
            return
        self.found = aside.stat().st_size if aside.exists() else 0
        with aside.open("ab", buffering=0) as handle:
            handle.write(HALF[self.found :])
            if self.meanwhile:
                self.meanwhile()
            handle.write(ALL[len(HALF) :])
        aside.replace(file)
        if self.after:
            self.after()


def void(_: object) -> None:
    """Return nothing."""


def _stop() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def _content(target: Path) -> bytes:
    assert [path.name for path in target.iterdir()] == ["train.jsonl"]
    return (target / "train.jsonl").read_bytes()


def test_the_next_goes_on_where_one_was_stopped(target: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch_into(REQUEST, Source(meanwhile=_stop), target)
    second = Source()
    fetch_into(REQUEST, second, target)
    assert (second.found, _content(target)) == (len(HALF), ALL)
    assert sorted(path.name for path in target.parent.iterdir()) == [".dataset.json", "dataset"]


def test_what_a_fetcher_that_was_given_up_still_writes_goes_nowhere(target: Path) -> None:
    second = Source()
    first = Source(meanwhile=lambda: fetch_into(REQUEST, second, target))
    with pytest.raises(FileNotFoundError):
        fetch_into(REQUEST, first, target)
    assert (second.found, _content(target)) == (len(HALF), ALL)


class Older(Source):
    """Has its file open while a newer fetcher does all, and writes between the halves of that one."""

    def __init__(self, target: Path) -> None:
        super().__init__()
        self._target = target

    def download(self, directory: Path) -> None:
        with (directory / ".train.jsonl.part").open("ab", buffering=0) as handle:
            handle.write(HALF)
            newer = Source(meanwhile=lambda: void(handle.write(b"too late")))
            fetch_into(REQUEST, newer, self._target)


def test_of_two_that_write_at_once_neither_gets_what_the_other_writes(target: Path) -> None:
    fetch_into(REQUEST, Older(target), target)
    assert _content(target) == ALL


def test_what_is_in_place_is_not_replaced_by_the_same_that_comes_later(target: Path) -> None:
    """Ranks may be reading it."""
    inodes = []

    def another() -> None:
        fetch_into(REQUEST, Source(), target)
        inodes.append(target.stat().st_ino)

    fetch_into(REQUEST, Source(after=another), target)
    assert [target.stat().st_ino] == inodes
    assert _content(target) == ALL


def test_what_is_left_of_another_version_is_removed(target: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch_into(REQUEST, Source(meanwhile=_stop), target)
    other = Source()
    other.version = lambda: "2" * 40  # type: ignore[method-assign]
    fetch_into(REQUEST, other, target)
    assert (other.found, _content(target)) == (0, ALL)
    assert sorted(path.name for path in target.parent.iterdir()) == [".dataset.json", "dataset"]
