import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.images.image import IMAGES, REPOSITORY, Image

_FINAL = [image for image in IMAGES if not image.target and not image.context]
_EACH = pytest.mark.parametrize("image", _FINAL, ids=lambda image: image.name)


def _text(image: Image) -> str:
    return (REPOSITORY / image.dockerfile).read_text(encoding="utf-8")


def _copied(text: str) -> Iterator[str]:
    for words in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        yield from (word.rstrip("/") for word in words.split()[:-1])


@_EACH
def test_whatever_is_copied_is_part_of_the_key(image: Image) -> None:
    assert set(_copied(_text(image))) <= set(image.sources)


@_EACH
def test_whatever_is_copied_is_there_and_sent_to_the_builder(image: Image) -> None:
    sent = {line[1:] for line in Path(REPOSITORY, ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in _copied(_text(image)):
        assert (REPOSITORY / source).exists()
        assert source.partition("/")[0] in sent


@_EACH
def test_the_legacy_builder_understands_it(image: Image) -> None:
    assert not re.search(r"^# *syntax|--mount=|--link\b|<<|--chmod", _text(image), re.MULTILINE)


@_EACH
def test_it_ends_as_somebody_without_rights(image: Image) -> None:
    assert re.findall(r"^USER (.+)$", _text(image), re.MULTILINE)[-1] == "65532:65532"


@_EACH
def test_every_download_is_checked_by_its_hash(image: Image) -> None:
    installs = re.findall(r"(?:pip install|pip sync)(?:[^&]|\\\n)+", _text(image))
    assert installs
    assert all("--require-hashes" in install for install in installs)


def test_the_operators_image_has_no_torch() -> None:
    assert "\ntorch==" not in Path(REPOSITORY, "requirements/operator.txt").read_text(encoding="utf-8")
