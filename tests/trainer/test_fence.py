"""Results of an attempt that comes too late are put nowhere."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from finetune_api.errors import Superseded
from finetune_trainer import directories
from finetune_trainer.fence import Fence, sweep


def never() -> None:
    raise Superseded("attempt 2 has taken over")


def unhindered() -> None:
    """A guard with no objection."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_text_is_replaced_and_no_draft_stays(tmp_path: Path) -> None:
    for text in ("old", "new"):
        Fence(1, unhindered).write_text(tmp_path / "run.json", text)
    assert names(tmp_path) == ["run.json"]
    assert (tmp_path / "run.json").read_text() == "new"


def test_an_attempt_that_was_overtaken_replaces_nothing_and_removes_its_draft(tmp_path: Path) -> None:
    Fence(2, unhindered).write_text(tmp_path / "run.json", "new")
    with pytest.raises(Superseded, match="has taken over"):
        Fence(1, never).write_text(tmp_path / "run.json", "late")
    assert names(tmp_path) == ["run.json"]
    assert (tmp_path / "run.json").read_text() == "new"


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_one_that_looked_at_the_claims_in_time_and_renames_too_late_has_nothing_to_rename(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    late, newer, place = Fence(1, unhindered), Fence(2, unhindered), tmp_path / "model"
    old = late.draft(place)
    make(old)
    new = newer.draft(place)
    make(new)
    newer.publish(new, place)
    with pytest.raises(Superseded, match="a newer attempt has taken over"):
        late.publish(old, place)
    assert names(tmp_path) == ["model"]


def test_a_newer_draft_removes_older_ones_and_leaves_newer_ones_and_other_files(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        (tmp_path / f".model.attempt-000{number}.draft").mkdir()
    (tmp_path / ".somebody.draft").write_text("")
    (tmp_path / ".swept-1").write_text("")
    sweep(tmp_path, 2)
    assert names(tmp_path) == [".model.attempt-0003.draft", ".somebody.draft"]


class Killed(BaseException):
    """The process ends here."""


def directory(path: Path, whose: str) -> Path:
    path.mkdir()
    (path / "whose").write_text(whose)
    return path


class Renames:
    """Does something before the n-th rename of this process, counted from 0."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: dict[int, Callable[[], None]] = {}
        self.count, self.paused = 0, True
        self._rename = Path.rename
        monkeypatch.setattr(Path, "rename", lambda path, target: self._before(path, target))

    def begin(self, events: dict[int, Callable[[], None]]) -> None:
        """Count from now on."""
        self.events, self.count, self.paused = events, 0, False

    def _before(self, path: Path, target: Path) -> Path:
        if not self.paused:
            self.count += 1
            event = self.events.get(self.count - 1)
            if event is not None:
                self.paused = True
                event()
                self.paused = False
        return self._rename(path, target)


@pytest.fixture
def renames(monkeypatch: pytest.MonkeyPatch) -> Renames:
    """On a file system that cannot swap two names, as NFS."""
    monkeypatch.setattr(directories, "_renameat2", lambda: None)
    return Renames(monkeypatch)


LAST_RENAME = 2
"""Of the three by which a directory takes the place of another."""


@pytest.mark.parametrize("stopped", range(LAST_RENAME + 1))
@pytest.mark.parametrize("dies", [*range(LAST_RENAME + 1), None])
def test_a_newer_attempts_directory_stays_wherever_an_older_one_had_stopped_and_wherever_it_dies_afterwards(
    stopped: int, dies: int | None, renames: Renames, tmp_path: Path
) -> None:
    place, old, new = directory(tmp_path / "model", "base"), Fence(1, unhindered), Fence(2, unhindered)
    draft = directory(old.draft(place), "late")

    def overtake() -> None:
        sweep(tmp_path, 2)
        new.publish(directory(new.draft(place), "newer"), place)

    def die() -> None:
        raise Killed

    renames.begin({stopped: overtake} | ({stopped + 1 + dies: die} if dies is not None else {}))
    with suppress(Killed, Superseded):
        old.publish(draft, place)
    renames.paused = True
    assert (place / "whose").read_text() == "newer"
    sweep(tmp_path, 3)
    assert names(tmp_path) == ["model"]
    assert names(place) == ["whose"]


@pytest.mark.parametrize("dies", range(LAST_RENAME + 1))
def test_a_directory_is_there_again_after_the_next_attempt_has_begun_wherever_the_last_one_died(
    dies: int, renames: Renames, tmp_path: Path
) -> None:
    place, fence = directory(tmp_path / "model", "base"), Fence(1, unhindered)
    draft = directory(fence.draft(place), "new")

    def die() -> None:
        raise Killed

    renames.begin({dies: die})
    with pytest.raises(Killed):
        fence.publish(draft, place)
    renames.paused = True
    sweep(tmp_path, 2)
    assert names(tmp_path) == ["model"]
    assert (place / "whose").read_text() == ("new" if dies == LAST_RENAME else "base")


def test_two_jobs_with_models_of_other_names_in_one_folder_leave_each_others_drafts_alone(tmp_path: Path) -> None:
    first, second = Fence(0, unhindered), Fence(1, unhindered)
    draft = first.draft(tmp_path / "first-ba10")
    draft.mkdir()
    second.draft(tmp_path / "second-ba10").mkdir()
    first.publish(draft, tmp_path / "first-ba10")
    assert names(tmp_path) == [".second-ba10.attempt-0001.draft", "first-ba10"]
