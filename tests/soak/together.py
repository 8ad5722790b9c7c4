"""One piece of work with others beside it, of which none may fail."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(main: Coroutine[Any, Any, None], *others: Coroutine[Any, Any, None]) -> None:
    """Do `main` while `others` go on, which are cancelled at its end; raises the first error of any of them."""
    first = asyncio.create_task(main)
    tasks = {first, *(asyncio.create_task(one) for one in others)}
    waiting = set(tasks)
    try:
        while not first.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
