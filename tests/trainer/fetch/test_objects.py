"""Objects of S3 and Google Cloud Storage, from fakes of both."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from support.fake_sources import Answer, FakeGcs, FakeS3, Source, serving

FILES = {"bucket/rows/train.jsonl": b"one\n", "bucket/rows/more/test.jsonl": b"two\n", "bucket/rowsother": b"no\n"}

Sources = tuple[str, Source, dict[str, str]]


@pytest.fixture(params=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> Iterator[Sources]:
    """The scheme, the server, and what points the library at it."""
    kinds: dict[str, tuple[Callable[[dict[str, bytes]], Source], str]] = {
        "s3": (FakeS3, "AWS_ENDPOINT_URL"),
        "gs": (FakeGcs, "STORAGE_EMULATOR_HOST"),
    }
    kind, variable = kinds[request.param]
    source = kind(FILES)
    with serving(source) as address:
        yield request.param, source, {variable: address}


def test_a_prefix_is_a_directory(fetch: Any, to: Path, store: Sources) -> None:
    scheme, _, environment = store
    assert fetch("--dataset", f"{scheme}://bucket/rows", **environment).outcome is Outcome.SUCCEEDED
    assert (to / "dataset/train.jsonl").read_bytes() == b"one\n"
    assert (to / "dataset/more/test.jsonl").read_bytes() == b"two\n"
    assert len(list((to / "dataset").iterdir())) == 2


def test_one_object_is_a_directory_with_one_file(fetch: Any, to: Path, store: Sources) -> None:
    scheme, _, environment = store
    fetch("--dataset", f"{scheme}://bucket/rows/train.jsonl", **environment)
    assert [path.name for path in (to / "dataset").iterdir()] == ["train.jsonl"]


def test_a_changed_object_is_fetched_again_and_an_unchanged_one_is_not(fetch: Any, to: Path, store: Sources) -> None:
    scheme, source, environment = store
    arguments = ("--dataset", f"{scheme}://bucket/rows")
    fetch(*arguments, **environment)
    assert "is here already" in fetch(*arguments, **environment).output
    source.files["bucket/rows/train.jsonl"] = b"new\n"
    fetch(*arguments, **environment)
    assert (to / "dataset/train.jsonl").read_bytes() == b"new\n"
    assert sorted(path.name for path in to.iterdir()) == [".dataset.json", "dataset"]


def test_a_prefix_without_objects_is_named(fetch: Any, store: Sources) -> None:
    scheme, _, environment = store
    done = fetch("--dataset", f"{scheme}://bucket/none", **environment)
    assert done.outcome is Outcome.DATASET_INVALID
    assert f"dataset {scheme}://bucket/none: there is nothing of this name" in done.words["message"]


def test_missing_rights_say_which_secret_to_name(fetch: Any, store: Sources) -> None:
    scheme, source, environment = store
    source.failures = [Answer(403, b"<Error><Code>AccessDenied</Code></Error>")] * 20
    done = fetch("--dataset", f"{scheme}://bucket/rows", **environment)
    assert done.outcome is Outcome.DATASET_INVALID
    variable = {"s3": "AWS_ACCESS_KEY_ID", "gs": "GOOGLE_APPLICATION_CREDENTIALS"}[scheme]
    assert f"Name a Secret with {variable}" in done.words["message"]
    assert "Traceback" not in done.output
