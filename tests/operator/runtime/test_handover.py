"""What another thread sees arrives in the loop in order, and a closed loop is no error."""

import asyncio
import threading
from collections import deque

from finetune_operator.runtime.handover import Handover


def test_everything_arrives_in_order_whatever_comes_while_it_is_taken() -> None:
    asyncio.run(_five_thousand())


async def _five_thousand() -> None:
    taken: list[int] = []
    handover = Handover(asyncio.get_running_loop(), taken.append)
    thread = threading.Thread(target=lambda: deque(map(handover.put, range(5000)), 0))
    thread.start()
    while len(taken) < 5000:
        await asyncio.sleep(0.001)
    thread.join()
    assert taken == list(range(5000))


def test_many_things_wake_the_loop_once() -> None:
    asyncio.run(_three_and_one())


async def _three_and_one() -> None:
    loop, woken = asyncio.get_running_loop(), list[str]()
    handover: Handover[str] = Handover(loop, woken.append)
    asked = loop.call_soon_threadsafe
    calls: list[object] = []

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return asked(*arguments)  # type: ignore[arg-type]

    loop.call_soon_threadsafe = counted  # type: ignore[assignment,method-assign]
    for name in "abc":
        handover.put(name)
    await asyncio.sleep(0)
    handover.put("d")
    await asyncio.sleep(0)
    assert (woken, len(calls)) == (["a", "b", "c", "d"], 2)


def test_a_loop_that_is_closed_takes_nothing_more() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Handover(loop, print).put("late")
