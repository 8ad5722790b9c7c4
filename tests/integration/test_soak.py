"""A short soak, always the same one; `make soak` plays ten times as many jobs, with an API server that is restarted."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from cluster.required import cluster_required
from soak.memory import Memory
from soak.run import Soak
from soak.script import Fault, draw

_SEED = 1
_JOBS = 20


def test_no_invariant_breaks_while_jobs_suffer_all_kinds_of_faults(tmp_path: Path, tell: Callable[[str], None]) -> None:
    soak = Soak(draw(_SEED, _JOBS), Memory.of(tmp_path, _SEED, _JOBS), faults=frozenset(Fault) - {Fault.API_RESTARTED})
    with cluster_required():
        figures = asyncio.run(soak.play())
    assert figures.stories == _JOBS
    assert sum(figures.checks.values()) > 1000
    assert sum(figures.struck.values()), (
        "a quick machine is done before all strokes have fallen, but not before the first"
    )
    tell(f"{_JOBS} jobs, {figures.pods} pods, {sum(figures.checks.values())} checks in {figures.seconds:.0f} s")
