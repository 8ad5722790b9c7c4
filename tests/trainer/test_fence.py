"""Results of an attempt that comes too late are put nowhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_api.errors import Superseded
from finetune_trainer.fence import Fence, discard, sweep


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
    (tmp_path / ".model.attempt-0000.draft.replaced").mkdir()
    (tmp_path / ".somebody.draft").write_text("")
    (tmp_path / ".swept-1").write_text("")
    sweep(tmp_path, 2)
    assert names(tmp_path) == [".model.attempt-0003.draft", ".somebody.draft"]


def test_what_is_gone_already_can_be_discarded(tmp_path: Path) -> None:
    discard(tmp_path / "nothing")
    assert names(tmp_path) == []


def test_two_jobs_with_models_of_other_names_in_one_folder_leave_each_others_drafts_alone(tmp_path: Path) -> None:
    first, second = Fence(0, unhindered), Fence(1, unhindered)
    draft = first.draft(tmp_path / "first-ba10")
    draft.mkdir()
    second.draft(tmp_path / "second-ba10").mkdir()
    first.publish(draft, tmp_path / "first-ba10")
    assert names(tmp_path) == [".second-ba10.attempt-0001.draft", "first-ba10"]
