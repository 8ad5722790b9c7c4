from pathlib import Path

import pytest

from faults.cases import CASES
from faults.matrix import ENOUGH, Plan, conclude, run
from faults.samples import result


@pytest.fixture
def said() -> list[str]:
    return []


def _plan(state: Path, *, wrong: int = 0, missing: int = 0, different: int = 0) -> Plan:
    for number, case in enumerate(CASES[missing:]):
        complaints = ("rank 0 instead of 1",) if number < wrong else ()
        result(complaints, difference=float(number < different)).write(state / f"{case.name}.json")
    return Plan(CASES, 1, state)


def test_two_of_forty_one_may_be_named_wrongly(tmp_path: Path, said: list[str]) -> None:
    assert len(CASES) - ENOUGH == 2
    assert conclude(_plan(tmp_path, wrong=2), said.append) == 0
    assert said[-1].startswith("seed 1: 39 of 41 causes right; 41 of 41 results")


@pytest.mark.parametrize(("wrong", "missing"), [(3, 0), (0, 3), (1, 2)])
def test_more_are_too_many_and_a_case_without_a_result_is_a_wrong_one(
    tmp_path: Path, said: list[str], wrong: int, missing: int
) -> None:
    assert conclude(_plan(tmp_path, wrong=wrong, missing=missing), said.append) == 1


def test_one_result_that_differs_is_too_many(tmp_path: Path, said: list[str]) -> None:
    assert conclude(_plan(tmp_path, different=1), said.append) == 1


def test_what_was_played_is_not_played_again(tmp_path: Path, said: list[str]) -> None:
    assert run(_plan(tmp_path), said.append) == 0  # and starts no cluster
    assert said[0].startswith("seed 1: 0 of 41 cases to play")
