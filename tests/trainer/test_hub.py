"""The many errors of a model that cannot be loaded, as one outcome with one sentence."""

from pathlib import Path

import pytest

from finetune_api.errors import ConfigInvalid, ModelUnavailable, Retryable, RunError
from finetune_trainer.hub import explained_hub_errors


class GatedRepoError(Exception):
    """As huggingface_hub names it."""


class RepositoryNotFoundError(Exception):
    """As huggingface_hub names it."""


def explained(error: Exception, name: str = "someone/model") -> RunError:
    with pytest.raises(RunError) as caught, explained_hub_errors("model", name):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_what_loads_is_left_alone() -> None:
    with explained_hub_errors("model", "someone/model"):
        pass


def test_an_error_of_our_own_passes_through() -> None:
    own = ConfigInvalid("model.name: unknown")
    with pytest.raises(ConfigInvalid) as caught, explained_hub_errors("model", "someone/model"):
        raise own
    assert caught.value is own


def test_a_missing_directory_is_called_one(tmp_path: Path) -> None:
    error = explained(OSError("Can't load the configuration"), str(tmp_path / "nowhere"))
    assert isinstance(error, ModelUnavailable)
    assert "no such directory" in str(error)


def test_a_gated_model_says_how_to_get_in() -> None:
    error = explained(GatedRepoError("401"))
    assert isinstance(error, ModelUnavailable)
    assert "licence" in str(error)


@pytest.mark.usefixtures("online")
def test_a_name_that_nothing_has_is_an_unavailable_model() -> None:
    error = explained(RepositoryNotFoundError("404"))
    assert isinstance(error, ModelUnavailable)
    assert "neither a local directory nor on the hub" in str(error)


@pytest.mark.usefixtures("online")
def test_a_network_that_may_recover_is_retryable() -> None:
    assert isinstance(explained(ConnectionError("timed out")), Retryable)


def test_a_hub_that_is_switched_off_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = explained(ConnectionError("offline"))
    assert isinstance(error, ModelUnavailable)
    assert "hub access is off" in str(error)


def test_anything_else_is_told_by_its_first_line(tmp_path: Path) -> None:
    error = explained(ValueError("the checkpoint is of an unknown type\nand much more"), str(tmp_path))
    assert isinstance(error, ModelUnavailable)
    assert str(error).startswith(f"model '{tmp_path}': the checkpoint is of an unknown type. Check")
    assert "KeyError" in str(explained(KeyError(), str(tmp_path)))


def test_the_kind_of_thing_is_named() -> None:
    kind, name = "tokenizer", "someone/model"
    with pytest.raises(ModelUnavailable, match=r"^tokenizer 'someone/model'"), explained_hub_errors(kind, name):
        raise ValueError("odd")
