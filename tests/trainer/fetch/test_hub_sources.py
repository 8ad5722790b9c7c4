"""Repositories of the hub, from a fake one: into directories of their own, and into the cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from support.fake_sources import Answer, FakeHub, serving

FILES = {
    "models/me/tiny/config.json": b"{}",
    "models/me/tiny/model.safetensors": b"w" * 1000,
    "models/me/tiny/pytorch_model.bin": b"w" * 1000,
    "models/me/tiny/onnx/model.json": b"{}",
    "datasets/me/rows/train.jsonl": b'{"prompt": "p", "response": "r"}\n',
    "datasets/me/rows/extra/more.jsonl": b"{}\n",
}


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub(FILES)


@pytest.fixture
def endpoint(hub: FakeHub) -> Iterator[str]:
    with serving(hub) as address:
        yield address


def names(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_a_dataset_lies_in_its_directory_and_nothing_else_does(fetch: Any, to: Path, endpoint: str) -> None:
    done = fetch("--dataset", "hf://me/rows", HF_ENDPOINT=endpoint)
    assert done.outcome is Outcome.SUCCEEDED
    assert names(to / "dataset") == {"train.jsonl", "extra/more.jsonl"}


def test_the_same_revision_is_not_fetched_twice(fetch: Any, to: Path, hub: FakeHub, endpoint: str) -> None:
    fetch("--dataset", "hf://me/rows@main", HF_ENDPOINT=endpoint)
    hub.seen.clear()
    assert "is here already" in fetch("--dataset", "hf://me/rows@main", HF_ENDPOINT=endpoint).output
    assert not any("/resolve/" in request for request in hub.seen)


def test_a_directory_of_a_repository_is_mounted_without_its_path(fetch: Any, to: Path, endpoint: str) -> None:
    fetch("--dataset", "hf://datasets/me/rows/extra", HF_ENDPOINT=endpoint)
    assert names(to / "dataset") == {"more.jsonl"}


def test_of_a_model_only_what_is_read_is_fetched(fetch: Any, to: Path, endpoint: str) -> None:
    fetch("--model", "hf://me/tiny", HF_ENDPOINT=endpoint)
    assert names(to / "model") == {"config.json", "model.safetensors"}


def test_a_directory_that_is_no_model_is_refused(fetch: Any, to: Path, endpoint: str, hub: FakeHub) -> None:
    del hub.files["models/me/tiny/config.json"]
    done = fetch("--model", "hf://me/tiny", HF_ENDPOINT=endpoint)
    assert done.outcome is Outcome.MODEL_UNAVAILABLE
    assert "there is no config.json in it" in done.words["message"]
    assert not (to / "model").exists()


def test_what_the_configuration_names_goes_into_the_cache(fetch: Any, to: Path, endpoint: str) -> None:
    arguments = ("--hub-model", "me/tiny", "--hub-tokenizer", "me/tiny", "--hub-dataset", "me/rows")
    assert fetch(*arguments, HF_ENDPOINT=endpoint).outcome is Outcome.SUCCEEDED
    (model,) = (to / "hub/models--me--tiny/snapshots").iterdir()
    assert names(model) == {"config.json", "model.safetensors"}
    assert (to / "hub/models--me--tiny/refs/main").read_text() == model.name
    (dataset,) = (to / "hub/datasets--me--rows/snapshots").iterdir()
    assert names(dataset) == {"train.jsonl", "extra/more.jsonl"}


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        (("--dataset", "hf://me/nothing"), Outcome.DATASET_INVALID),
        (("--dataset", "hf://me/rows@v9"), Outcome.DATASET_INVALID),
        (("--hub-dataset", "me/nothing"), Outcome.DATASET_INVALID),
        (("--hub-model", "me/nothing"), Outcome.MODEL_UNAVAILABLE),
        (("--hub-tokenizer", "me/nothing"), Outcome.MODEL_UNAVAILABLE),
    ],
)
def test_what_is_not_there_is_named_and_never_tried_again(
    fetch: Any, endpoint: str, arguments: tuple[str, str], outcome: Outcome
) -> None:
    done = fetch(*arguments, HF_ENDPOINT=endpoint)
    assert done.outcome is outcome
    assert "there is nothing of this name. Check the name and the revision" in done.words["message"]
    assert "trying again" not in done.output
    assert "Traceback" not in done.output


def test_a_gated_one_says_which_secret_to_name(fetch: Any, hub: FakeHub, endpoint: str) -> None:
    hub.failures = [Answer(403, b"{}", {"X-Error-Code": "GatedRepo"})] * 9
    done = fetch("--model", "hf://me/tiny", HF_ENDPOINT=endpoint, HF_TOKEN="hf_secret")
    assert done.outcome is Outcome.MODEL_UNAVAILABLE
    assert "Name a Secret with HF_TOKEN in spec.model.source.secretRef" in done.words["message"]
    assert hub.authorizations == {"Bearer hf_secret"}
    assert "hf_secret" not in done.output
