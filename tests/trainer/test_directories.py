"""Files and directories that appear whole and stay."""

from pathlib import Path

import pytest

from finetune_trainer import directories
from finetune_trainer.directories import discard, exchange, put_in_place, withdraw
from support.power import Disk


@pytest.fixture(params=["at once", "in turns"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems cannot exchange two names."""
    if request.param == "in turns":
        monkeypatch.setattr(directories, "_renameat2", lambda: None)


def directory(path: Path) -> Path:
    path.mkdir()
    (path / "whose").write_text(path.name, encoding="utf-8")
    return path


@pytest.mark.usefixtures("_either_way")
def test_a_directory_takes_the_place_of_another_and_nothing_else_stays(tmp_path: Path) -> None:
    put_in_place(directory(tmp_path / "draft"), directory(tmp_path / "model"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "whose").read_text(encoding="utf-8") == "draft"


@pytest.mark.usefixtures("_either_way")
def test_a_draft_that_is_gone_leaves_what_was_there(tmp_path: Path) -> None:
    directory(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "draft", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "whose").read_text(encoding="utf-8") == "model"


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("replaces", [False, True])
def test_a_loss_of_power_takes_nothing_away_once_the_name_is_there_and_none_of_it_before(
    replaces: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, draft, model = Disk().install(monkeypatch), directory(tmp_path / "draft"), tmp_path / "model"
    (draft / "deeper").mkdir()
    (draft / "deeper" / "weights").write_bytes(b"many")
    if replaces:
        directory(model)
    rename, swap, lost = Path.rename, directories.exchange, list[list[Path]]()

    def look() -> None:
        if draft.exists():
            lost.append(disk.lost(draft))

    def renamed(path: Path, target: Path) -> Path:
        look()
        return rename(path, target)

    def exchanged(first: Path, second: Path) -> bool:
        look()
        return swap(first, second)

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(directories, "exchange", exchanged)
    put_in_place(draft, model)
    assert lost[0] == []
    assert disk.lost(model) == []
    assert disk.lost(tmp_path) == []


def test_a_link_in_a_directory_is_none_of_its_content(tmp_path: Path) -> None:
    (directory(tmp_path / "draft") / "link").symlink_to("nowhere")
    put_in_place(tmp_path / "draft", tmp_path / "model")
    assert (tmp_path / "model" / "link").is_symlink()


def test_what_a_process_that_died_half_way_has_taken_away_is_put_back_with_its_draft_withdrawn(tmp_path: Path) -> None:
    draft = directory(tmp_path / "draft")
    directory(tmp_path / "model").rename(draft / ".replaced")
    withdraw(draft, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "whose").read_text(encoding="utf-8") == "model"


def test_what_has_taken_its_place_meanwhile_stays(tmp_path: Path) -> None:
    draft = directory(tmp_path / "draft")
    directory(tmp_path / "old").rename(draft / ".replaced")
    directory(tmp_path / "model")
    withdraw(draft, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "whose").read_text(encoding="utf-8") == "model"


def test_a_draft_that_somebody_else_has_finished_brings_nothing_of_what_it_was_about_to_replace(tmp_path: Path) -> None:
    draft = directory(tmp_path / "draft")
    directory(tmp_path / "old").rename(draft / ".replaced")
    put_in_place(draft, tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["whose"]


def test_what_is_gone_already_can_be_discarded_and_withdrawn(tmp_path: Path) -> None:
    discard(tmp_path / "nothing")
    withdraw(tmp_path / "nothing", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "draft").write_text("new")
    (tmp_path / "file").write_text("old")
    put_in_place(tmp_path / "draft", tmp_path / "file")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "new")]


def test_two_directories_swap_their_names_at_once_on_this_file_system(tmp_path: Path) -> None:
    first, second = directory(tmp_path / "first"), directory(tmp_path / "second")
    assert exchange(first, second)
    assert ((first / "whose").read_text(), (second / "whose").read_text()) == ("second", "first")
