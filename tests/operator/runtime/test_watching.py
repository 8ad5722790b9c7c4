"""kopf is asked for what concerns us, and for nothing that costs without being used."""

from typing import Any

import kopf
import pytest

from finetune_operator.runtime.app import is_starting
from finetune_operator.runtime.scope import Scope
from finetune_operator.runtime.watching import watch_settings


def test_long_lists_come_in_pages() -> None:
    assert 0 < (watch_settings(Scope()).watching.chunk_size or 0) <= 500


def test_objects_are_neither_copied_nor_marked() -> None:
    settings = watch_settings(Scope())
    storage = settings.persistence.diffbase_storage
    body = kopf.Body({"metadata": {"name": "n"}, "spec": {"nodes": 2}})
    patch = kopf.Patch()
    assert dict(storage.build(body=body)) == {}
    assert storage.fetch(body=body) is None
    storage.store(body=body, patch=patch, essence=kopf.BodyEssence({}))
    assert dict(patch) == {}
    assert not settings.posting.enabled


@pytest.mark.parametrize(
    ("kind", "pod", "starting"),
    [
        ("ADDED", {}, True),
        ("MODIFIED", {"phase": "Pending"}, True),
        ("MODIFIED", {"phase": "Running"}, False),
        ("DELETED", {"phase": "Pending"}, False),
        (None, {"phase": "Pending"}, True),
    ],
)
def test_only_news_of_pods_that_started_or_end_is_pressing(
    kind: str | None, pod: dict[str, Any], starting: bool
) -> None:
    assert is_starting(kind, {"metadata": {}, "status": pod}) is starting
    assert not is_starting(kind, {"metadata": {"deletionTimestamp": "t"}, "status": pod})
