"""Pods that leave."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from soak.api import Refused
from soak.pods import Pods
from soak.scene import Pod, Scene


def leaves(patched: Refused, deleted: Refused | None) -> None:
    """A pod that was asked to leave writes its last words and goes, as far as the API server lets it."""

    async def patch(*_: object) -> None:
        raise patched

    async def delete(*_: object, **__: object) -> None:
        if deleted is not None:
            raise deleted
        gone.set()

    async def story() -> None:
        pods, metadata = Pods(api, Scene(), 1), {"name": "a", "uid": "1", "labels": {}, "deletionTimestamp": "now"}
        pods.notice(Pod({"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Running"}}))
        pods.look()
        try:
            async with asyncio.timeout(60):
                while not gone.is_set():
                    await asyncio.sleep(0.01)
                    pods.look()
        finally:
            await pods.close()

    api, gone = cast(Any, SimpleNamespace(patch=patch, delete=delete)), asyncio.Event()
    asyncio.run(story())


def test_what_keeps_a_pod_from_leaving_is_told() -> None:
    nobody = Refused(503, "nobody answers")
    with pytest.raises(Refused, match="nobody answers"):
        leaves(nobody, nobody)


def test_a_pod_whose_name_another_has_by_now_says_nothing_and_is_gone() -> None:
    immutable = 'Pod "a" is invalid: metadata.uid: Invalid value: "1": field is immutable'
    leaves(Refused(422, immutable), None)
