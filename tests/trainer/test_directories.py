"""Files and directories that appear whole."""

from pathlib import Path

import pytest

from finetune_trainer import directories
from finetune_trainer.directories import exchange, put_in_place


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


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "draft").write_text("new")
    (tmp_path / "file").write_text("old")
    put_in_place(tmp_path / "draft", tmp_path / "file")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "new")]


def test_two_directories_swap_their_names_at_once_on_this_file_system(tmp_path: Path) -> None:
    first, second = directory(tmp_path / "first"), directory(tmp_path / "second")
    assert exchange(first, second)
    assert ((first / "whose").read_text(), (second / "whose").read_text()) == ("second", "first")
