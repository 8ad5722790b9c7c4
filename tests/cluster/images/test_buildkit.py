from pathlib import Path

import pytest

from cluster.images.buildkit import arguments
from cluster.images.image import IMAGES

_OPERATOR, _BELOW, _TRAINER, _ = IMAGES


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_an_image_gets_the_name_by_which_a_kubelet_looks_for_it() -> None:
    output = next(word for word in arguments(_OPERATOR, Path("/src"), "base:test") if word.startswith("type=image"))
    assert "name=docker.io/library/finetune-operator:test," in output
    assert "unpack=true" in output


def test_the_base_comes_from_this_machine_and_not_from_a_registry() -> None:
    words = list(arguments(_OPERATOR, Path("/src"), "base:test"))
    assert "image-resolve-mode=local" in words
    assert "build-arg:BASE_IMAGE=base:test" in words


def test_the_trainer_stands_on_the_dependencies_that_were_built_before() -> None:
    assert "target=dependencies" in arguments(_BELOW, Path("/src"), "base:test")
    context = f"context:dependencies=docker-image://docker.io/library/{_BELOW.name}"
    assert context in arguments(_TRAINER, Path("/src"), "base:test")


def test_a_proxy_of_this_machine_is_used_in_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    assert "build-arg:HTTPS_PROXY=http://proxy.example.com:3128" in arguments(_OPERATOR, Path("/src"), "base:test")
