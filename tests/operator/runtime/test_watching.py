"""kopf is asked for what concerns us, and for nothing that costs without being used."""

import asyncio
from typing import Any, cast

import kopf
import pytest

from finetune_operator.cluster.access import Access
from finetune_operator.runtime.app import is_starting
from finetune_operator.runtime.scope import Scope
from finetune_operator.runtime.watching import Watches, watch_settings
from support.virtual_time import run_virtually


def test_long_lists_come_in_pages() -> None:
    assert 0 < (watch_settings(Scope()).watching.chunk_size or 0) <= 500


def test_a_watch_that_falls_silent_or_cannot_be_opened_is_tried_again_soon() -> None:
    settings = watch_settings(Scope())
    assert 60 < settings.watching.inactivity_timeout < 75  # a bookmark comes each minute
    assert (settings.networking.request_timeout or 999) <= 30
    assert max(cast(tuple[float, ...], settings.networking.error_backoffs)) <= 5


def test_that_one_of_several_watches_has_ended_is_noticed() -> None:
    """kopf may wait for the others for ever; its loop beats all the while."""

    async def scene() -> float:
        begun, beats = asyncio.get_running_loop().time(), 0

        def beat() -> None:
            nonlocal beats
            beats += 1

        watches = Watches(lambda: Access(""), Scope(("team",)), lambda seen: None, beat=beat, restarted=lambda: None)
        pods = asyncio.create_task(asyncio.sleep(1000), name="watcher for pods.v1@team")
        jobs = asyncio.create_task(asyncio.sleep(20), name="watcher for finetunejobs.v1alpha1@team")
        await watches._beating()
        assert jobs.done()
        assert beats > 20
        pods.cancel()
        return asyncio.get_running_loop().time() - begun

    assert 20 < run_virtually(scene()) < 30


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
