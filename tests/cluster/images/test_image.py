from pathlib import Path

import pytest

from cluster.images.image import IMAGES, REPOSITORY, digest


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "api").mkdir()
    (tmp_path / "api/a.py").write_text("a = 1\n")
    (tmp_path / "lock.txt").write_text("torch\n")
    return tmp_path


def _digest(root: Path) -> str:
    return digest(root, ("api", "lock.txt"), "")


def test_the_same_sources_have_the_same_digest(sources: Path) -> None:
    before = _digest(sources)
    (sources / "api/a.py").touch()
    assert _digest(sources) == before


def test_a_changed_a_new_and_a_renamed_file_each_change_it(sources: Path) -> None:
    seen = [_digest(sources)]
    (sources / "api/a.py").write_text("a = 2\n")
    seen.append(_digest(sources))
    (sources / "api/b.py").touch()
    seen.append(_digest(sources))
    (sources / "api/b.py").rename(sources / "api/c.py")
    seen.append(_digest(sources))
    assert len(set(seen)) == 4


def test_compiled_files_do_not_count(sources: Path) -> None:
    before = _digest(sources)
    (sources / "api/__pycache__").mkdir()
    (sources / "api/__pycache__/a.pyc").write_bytes(b"1")
    assert _digest(sources) == before


def test_another_base_makes_every_image_another() -> None:
    assert all(image.key(REPOSITORY, "one") != image.key(REPOSITORY, "two") for image in IMAGES)


def test_our_code_is_not_part_of_what_the_large_layer_is_made_of() -> None:
    (below,) = [image for image in IMAGES if image.target]
    assert not {"api", "trainer_image", "README.md"} & set(below.sources)
