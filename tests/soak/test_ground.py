"""One attempt suffers one fault, so that its true cause is known."""

import asyncio

import pytest

from soak.ground import Ground, Overdue
from soak.scene import Scene


def always() -> bool:
    """What was to be done still is."""
    return True


def test_a_node_is_lost_only_when_nobody_acts_on_it() -> None:
    async def story() -> list[str]:
        ground, told = Ground(Scene()), list[str]()

        async def lose() -> None:
            async with ground.losing("a", 60):
                told.append("lost")

        async with ground.acting({"a"}, always, 60):
            losing = asyncio.create_task(lose())
            await asyncio.sleep(0.01)
            told.append("acted")
        await losing
        return told

    assert asyncio.run(story()) == ["acted", "lost"]


def test_nobody_acts_on_a_node_that_is_lost() -> None:
    async def story() -> None:
        ground = Ground(Scene())
        async with ground.losing("a", 60):
            async with ground.acting({"b"}, always, 60):
                pass
            async with ground.acting({"a", "b"}, always, 0.01):
                pass

    with pytest.raises(Overdue, match="faults of"):
        asyncio.run(story())


def test_nobody_waits_for_a_lost_node_once_nothing_is_to_be_done_on_it() -> None:
    async def story() -> bool:
        ground, due = Ground(Scene()), [True]
        async with ground.losing("a", 60):

            async def act() -> bool:
                async with ground.acting({"a"}, lambda: bool(due), 60):
                    return True

            acting = asyncio.create_task(act())
            await asyncio.sleep(0.01)
            due.clear()
            await ground.moved()
            return await acting

    assert asyncio.run(story())


def test_an_api_server_goes_away_between_writes_that_belong_together() -> None:
    async def story() -> list[str]:
        ground, told = Ground(Scene()), list[str]()

        async def restart() -> None:
            async with ground.api_away():
                told.append("away")

        async with ground.writing():
            restarting = asyncio.create_task(restart())
            await asyncio.sleep(0.01)
            told.append("written")
        await restarting
        return told

    assert asyncio.run(story()) == ["written", "away"]
