"""Model directories that the trainer's tests share: made once, never changed."""

from pathlib import Path

import pytest

from support.models import tiny_gpt2


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may wait for a hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def gpt2_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of two layers without dropout, with its tokenizer."""
    return tiny_gpt2(tmp_path_factory.mktemp("tiny-gpt2"))


@pytest.fixture(scope="session")
def dropout_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with dropout."""
    return tiny_gpt2(tmp_path_factory.mktemp("tiny-gpt2-dropout"), dropout=0.1)
