"""The queue's promises, on a loop whose time is turned by hand."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_operator.runtime.work_queue import Again, Backoff, WorkQueue
from support.virtual_time import run_virtually

PLAIN = Backoff(jitter=lambda: 0.0)


def working(
    queue: WorkQueue[str], handle: Callable[[str], Awaitable[float | None]], workers: int = 2
) -> "asyncio.Task[None]":
    return asyncio.create_task(queue.work(workers, handle))


def test_a_key_is_in_the_queue_once() -> None:
    async def scene() -> list[str]:
        queue: WorkQueue[str] = WorkQueue("test")
        seen = []

        async def handle(key: str) -> None:
            seen.append(key)

        for key in "abaab":
            queue.add(key)
        task = working(queue, handle)
        await asyncio.sleep(1)
        task.cancel()
        return seen

    assert run_virtually(scene()) == ["a", "b"]


def test_a_key_that_is_to_be_first_overtakes_the_others() -> None:
    async def scene() -> list[str]:
        queue: WorkQueue[str] = WorkQueue("test")
        seen: list[str] = []

        async def handle(key: str) -> None:
            seen.append(key)

        for key in "abc":
            queue.add(key)
        queue.add("c", first=True)
        task = working(queue, handle, workers=1)
        await asyncio.sleep(1)
        task.cancel()
        return seen

    assert run_virtually(scene()) == ["c", "a", "b"]


def test_a_key_that_is_added_while_it_is_worked_on_comes_again_afterwards() -> None:
    async def scene() -> list[str]:
        queue: WorkQueue[str] = WorkQueue("test")
        seen = []

        async def handle(key: str) -> None:
            seen.append("begin")
            if len(seen) == 1:
                queue.add(key)
                queue.add(key)
            await asyncio.sleep(1)
            seen.append("end")

        queue.add("a")
        task = working(queue, handle)
        await asyncio.sleep(10)
        task.cancel()
        return seen

    assert run_virtually(scene()) == ["begin", "end", "begin", "end"]


def test_a_failing_key_waits_twice_as_long_each_time_and_starts_over_after_a_success() -> None:
    async def scene() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test", PLAIN)
        times: list[float] = []

        async def handle(key: str) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) != 4:
                raise Again("no")

        queue.add("a")
        task = working(queue, handle)
        await asyncio.sleep(1)
        queue.add("a")
        await asyncio.sleep(0.15)
        task.cancel()
        return [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]

    assert run_virtually(scene()) == [0.1, 0.2, 0.4, 0.3, 0.1]


def test_a_key_may_be_tried_again_sooner_than_its_failures_say() -> None:
    async def scene() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test", PLAIN)
        times: list[float] = []

        async def handle(key: str) -> None:
            times.append(asyncio.get_running_loop().time())
            raise Again("nobody answers", most=0.3)

        queue.add("a")
        task = working(queue, handle)
        await asyncio.sleep(1.4)
        task.cancel()
        return [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]

    assert run_virtually(scene()) == [0.1, 0.2, 0.3, 0.3, 0.3]


def test_a_key_whose_server_asked_for_patience_is_left_alone_for_so_long() -> None:
    async def scene() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test", PLAIN)
        times: list[float] = []

        async def handle(key: str) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 1:
                raise Again("slow down", after=7.0)

        queue.add("a")
        task = working(queue, handle)
        for _ in range(100):
            await asyncio.sleep(0.1)
            queue.add("a")
        task.cancel()
        return times

    times = run_virtually(scene())
    assert times[1] - times[0] == pytest.approx(7.0)


def test_the_earliest_of_several_times_counts() -> None:
    async def scene() -> list[float]:
        queue: WorkQueue[str] = WorkQueue("test")
        times: list[float] = []

        async def handle(key: str) -> None:
            times.append(asyncio.get_running_loop().time())

        begun = asyncio.get_running_loop().time()
        for seconds in (5.0, 2.0, 9.0):
            queue.add_after("a", seconds)
        task = working(queue, handle)
        await asyncio.sleep(20)
        task.cancel()
        return [time - begun for time in times]

    assert run_virtually(scene()) == pytest.approx([2.0])


def test_an_unexpected_error_of_one_key_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> list[str]:
        queue: WorkQueue[str] = WorkQueue("test", PLAIN)
        seen: list[str] = []

        async def handle(key: str) -> None:
            seen.append(key)
            if key == "bad" and seen.count("bad") == 1:
                raise RuntimeError("surprise")

        for key in ("bad", "good"):
            queue.add(key)
        task = working(queue, handle, workers=1)
        await asyncio.sleep(1)
        task.cancel()
        return seen

    assert run_virtually(scene()) == ["bad", "good", "bad"]
    assert "unexpected error" in caplog.text


def test_a_closed_queue_takes_nothing_and_keeps_no_timers() -> None:
    async def scene() -> int:
        queue: WorkQueue[str] = WorkQueue("test")
        queue.add_after("a", 5)
        queue.close()
        queue.add("a")
        queue.add_after("b", 1)
        return len(queue) + queue.later

    assert run_virtually(scene()) == 0


STORIES = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3), st.booleans()), max_size=30)


@settings(max_examples=60)
@given(STORIES, st.integers(1, 4))
def test_no_key_is_worked_on_twice_at_once_and_none_is_lost(story: list[tuple[str, float, bool]], workers: int) -> None:
    async def scene() -> None:
        queue: WorkQueue[str] = WorkQueue("test", PLAIN)
        busy: set[str] = set()
        asked: dict[str, float] = {}
        begun: dict[str, float] = {}
        now = asyncio.get_running_loop().time

        async def handle(key: str) -> None:
            assert key not in busy
            busy.add(key)
            begun[key] = now()
            await asyncio.sleep(0.5)
            busy.discard(key)
            if fails.get(key):
                fails[key] = False
                raise Again("no")

        fails: dict[str, bool] = {}
        task = working(queue, handle, workers)
        for key, pause, failing in story:
            await asyncio.sleep(pause)
            asked[key] = now()
            fails[key] = failing
            queue.add(key)
        await asyncio.sleep(60)
        assert not task.done()
        task.cancel()
        assert all(begun[key] >= asked[key] for key in asked), "each key was worked on after it was last asked for"

    run_virtually(scene())


def test_the_load_is_what_waits_and_what_is_worked_on() -> None:
    async def scene() -> list[int]:
        queue: WorkQueue[str] = WorkQueue("test")

        async def handle(key: str) -> None:
            await asyncio.sleep(1)

        task, loads = working(queue, handle, workers=2), list[int]()
        for key in "abc":
            queue.add(key)
        for pause in (0.5, 1.0, 1.0):
            await asyncio.sleep(pause)
            loads.append(queue.load)
        task.cancel()
        return loads

    assert run_virtually(scene()) == [3, 1, 0]
