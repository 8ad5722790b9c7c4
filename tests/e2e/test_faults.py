"""Rows of the failure table on real pods; `make faults` plays all forty-one."""

import concurrent.futures
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest

from cluster.existing import ExistingCluster
from cluster.provider import Cluster
from faults.cases import CASES, SEED
from faults.play import play, play_undisturbed
from faults.record import Result
from faults.site import furnished
from faults.table import table
from support.helm_release import Release

_ROWS: Final = ("rank-killed", "launcher-killed", "oom-killed", "evicted", "frozen", "checkpoint-truncated")
_AT_ONCE: Final = 2

Played = Mapping[str, "concurrent.futures.Future[Result]"]


@pytest.fixture(scope="module")
def played(cluster: Cluster, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Every row, played side by side, as most of the time goes by with waiting."""
    if isinstance(cluster, ExistingCluster):
        pytest.skip("this cluster has no image whose ranks can be told to fail")
    cases = {case.name: case for case in CASES if case.name in _ROWS}
    state = tmp_path_factory.mktemp("faults")
    with furnished(cluster, state, "e2e-faults") as site, concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        play_undisturbed(site, cases[_ROWS[0]])
        yield {name: pool.submit(play, site, cases[name], SEED) for name in _ROWS}


@pytest.mark.parametrize("name", _ROWS)
def test_the_true_cause_is_told_and_the_result_is_that_of_an_undisturbed_run(
    played: Played, name: str, tell: Callable[[str], None]
) -> None:
    result = played[name].result()
    tell(table([result]).splitlines()[2])
    assert result.complaints == (), result.story
    assert result.same, result.story
