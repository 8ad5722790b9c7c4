from pathlib import Path

from finetune_trainer.directories import put_in_place


def test_a_directory_takes_the_place_of_another_and_nothing_else_stays(tmp_path: Path) -> None:
    for name in ("draft", "model", ".model.replaced"):  # the last is what a killed program left
        (tmp_path / name).mkdir()
        (tmp_path / name / "whose").write_text(name, encoding="utf-8")
    put_in_place(tmp_path / "draft", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "whose").read_text(encoding="utf-8") == "draft"
