"""Waits for a job."""

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from finetune_api.errors import ConfigInvalid, Problem
from finetune_cli.cluster.conclusion import NO_ANSWER, Conclusion, conclude, unfinished
from finetune_cli.cluster.finding import find_job
from finetune_cli.cluster.following import Trouble, follow_jobs
from finetune_cli.cluster.job_view import JobView
from finetune_operator.cluster.client import Client

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PIECE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds_of(text: str) -> float:
    """Read `90`, `90s`, `30m`, `1h30m` or `2d`; raises ConfigInvalid."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(rf"({_PIECE.pattern})+", text):
        raise ConfigInvalid.of([Problem("--timeout", f"{text} is not a time", "write one like 90s, 30m or 1h30m")])
    return sum(float(amount) * _UNITS[unit] for amount, unit in _PIECE.findall(text))


async def wait_for_job(
    client: Client,
    namespace: str,
    name: str,
    wanted: str,
    timeout: float | None,
    see: Callable[[JobView | Trouble], None],
) -> Conclusion:
    """Return how the wait ended; `see` is shown everything meanwhile."""
    job: JobView | None = await find_job(client, namespace, name)
    if job and (ended := conclude(job, wanted)):
        return ended
    try:
        async with asyncio.timeout(timeout), aclosing(follow_jobs(client, namespace, name)) as changes:
            async for seen in changes:
                if isinstance(seen, Trouble):
                    see(seen)
                    continue
                job = seen.only
                if job is None:
                    return Conclusion(NO_ANSWER, f"{name} has been deleted")
                see(job)
                if ended := conclude(job, wanted):
                    return ended
    except TimeoutError:
        pass
    return unfinished(job, name, wanted, timeout or 0)
