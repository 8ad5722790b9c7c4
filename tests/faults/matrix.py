"""The whole matrix: every case once, kept on the disk as it comes, so that an interrupted run goes on."""

import concurrent.futures
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.local.cluster import LocalCluster
from faults.case import Case
from faults.cases import CASES
from faults.play import play, play_undisturbed, reference_folder
from faults.record import Result
from faults.site import Site, furnished, install
from faults.table import summary, table

ENOUGH: Final = 39
"""Causes of forty-one that must be named rightly."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is to be played."""

    cases: Sequence[Case]
    seed: int
    state: Path
    lanes: int = 2
    """Cases played at the same time, apart from those that disturb others."""


def run(plan: Plan, say: Say) -> int:
    """Play what was not played yet, print the table; returns an exit code."""
    left = [case for case in plan.cases if _result(plan, case) is None]
    say(f"seed {plan.seed}: {len(left)} of {len(plan.cases)} cases to play; results are kept in {plan.state}")
    if left:
        with LocalCluster(nodes=2) as cluster:
            install(cluster)
            with furnished(cluster, plan.state, "faults") as site:
                _play_all(site, left, plan, say)
    return conclude(plan, say)


def conclude(plan: Plan, say: Say) -> int:
    """Print the table; 1 when too many causes were named wrongly, a result differs, or a case is missing."""
    results = [result for case in plan.cases if (result := _result(plan, case)) is not None]
    say("")
    say(table(results))
    say("")
    for runtime in sorted({f"{node}: {text}" for result in results for node, text in result.runtime.items()}):
        say(runtime)
    say(f"seed {plan.seed}: {summary(results)}")
    wrong = len(plan.cases) - sum(not result.complaints for result in results)
    differs = any(result.same is False for result in results)
    return int(differs or wrong > len(CASES) - ENOUGH)


def _play_all(site: Site, cases: Sequence[Case], plan: Plan, say: Say) -> None:
    for case in {case.shape.reference: case for case in cases}.values():
        if not reference_folder(site, case).exists():
            say(f"undisturbed run for {case.shape.reference}")
            play_undisturbed(site, case)
    with concurrent.futures.ThreadPoolExecutor(plan.lanes) as pool:
        together = [pool.submit(_play, site, case, plan, say) for case in cases if not case.alone]
        try:
            concurrent.futures.wait(together)
        except KeyboardInterrupt:
            say("stopping once the cases that are being played have ended; Ctrl-C again: at once")
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for case in cases:
        if case.alone:
            _play(site, case, plan, say)  # in the main thread: nodes are started again from it


def _play(site: Site, case: Case, plan: Plan, say: Say) -> None:
    began = time.monotonic()
    try:
        result = play(site, case, plan.seed)
    except Exception:
        # One case that cannot be played must not keep the others from it; it counts as wrong, being without a result.
        say(f"{case.name}: NOT PLAYED\n{traceback.format_exc()}")
        return
    verdict = "right" if not result.complaints else f"WRONG: {'; '.join(result.complaints)}"
    more = "" if result.same is not False else ", and the result DIFFERS"
    say(f"{case.name}: {verdict}{more} ({time.monotonic() - began:.0f} s)")


def _result(plan: Plan, case: Case) -> Result | None:
    file = plan.state / f"{case.name}.json"
    return Result.read(file) if file.exists() else None


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True, file=sys.stdout)
