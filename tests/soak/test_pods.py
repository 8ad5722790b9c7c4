"""Pods that leave."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from soak.api import Refused
from soak.pods import Pods
from soak.scene import Pod, Scene


def test_what_keeps_a_pod_from_leaving_is_told() -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise Refused(503, "nobody answers")

    async def story() -> None:
        api = cast(Any, SimpleNamespace(patch=refuse, delete=refuse))
        pods, metadata = Pods(api, Scene(), 1), {"name": "a", "uid": "1", "labels": {}, "deletionTimestamp": "now"}
        pods.notice(Pod({"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Failed"}}))
        pods.look()
        try:
            async with asyncio.timeout(60):
                while True:
                    await asyncio.sleep(0.01)
                    pods.look()
        finally:
            await pods.close()

    with pytest.raises(Refused, match="nobody answers"):
        asyncio.run(story())
