import pytest

from finetune_trainer.data.hub_errors import HubFailure, hub_failure, is_local, looks_like_path


class RepositoryNotFoundError(Exception):
    """As the hub's library names it."""


class GatedRepoError(RepositoryNotFoundError):
    """As the hub's library names it."""


class DatasetNotFoundError(FileNotFoundError):
    """As `datasets` names it."""


class Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class HttpError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.response = Response(status_code)


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RepositoryNotFoundError("404"), HubFailure.MISSING),
        (GatedRepoError("403"), HubFailure.GATED),
        (DatasetNotFoundError("Dataset 'x' doesn't exist"), HubFailure.MISSING),
        (DatasetNotFoundError("Dataset 'x' is a gated dataset on the Hub"), HubFailure.GATED),
        (ConnectionError("refused"), HubFailure.NETWORK),
        (HttpError(503), HubFailure.NETWORK),
        (HttpError(429), HubFailure.NETWORK),
        (HttpError(403), HubFailure.GATED),
        (HttpError(404), HubFailure.MISSING),
        (ValueError("something else"), None),
    ],
)
def test_what_the_hub_said_is_told_apart(error: Exception, failure: HubFailure | None) -> None:
    assert hub_failure(error) is failure


def test_what_led_to_the_error_counts() -> None:
    error = OSError("cannot load")
    error.__context__ = ConnectionError("refused")
    assert hub_failure(error) is HubFailure.NETWORK
    error.__cause__ = GatedRepoError("no")
    assert hub_failure(error) is HubFailure.GATED


def test_without_hub_access_nothing_is_a_matter_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub_failure(ConnectionError("refused")) is HubFailure.OFFLINE


def test_a_path_is_told_from_a_hub_name(tmp_path: object) -> None:
    assert all(map(looks_like_path, ("/models/gpt2", "./gpt2", "~/gpt2", "models/small/gpt2", "models/")))
    assert not any(map(looks_like_path, ("gpt2", "openai/gpt2")))
    assert is_local(str(tmp_path))
