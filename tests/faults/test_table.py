import pytest

from faults.samples import result
from faults.table import summary, table


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_tells_when_what_and_how_it_ended() -> None:
    row = _cells(table([result()]).splitlines()[2])
    assert row == ["rank-killed", "1.2 s", "12.5 s", "2", "Failure/Crashed", "identical"]


def test_of_a_start_that_was_struck_it_is_told_for_how_long_its_pods_ran() -> None:
    assert _cells(table([result(detected=40.0, ran=27.5)]).splitlines()[2])[1] == "40.0 s (ran 27.5 s)"


def test_a_wrong_cause_is_shown_in_its_row_and_explained_below() -> None:
    lines = table([result(("rank 0 instead of 1",), rank=0)]).splitlines()
    assert _cells(lines[2])[4] == "WRONG: Failure/Crashed"
    assert lines[-1] == "rank-killed: rank 0 instead of 1"


@pytest.mark.parametrize(
    ("difference", "tolerance", "cell"),
    [
        (0.0, 0.0, "identical"),
        (2e-7, 1e-5, "within 2e-07"),
        (2e-7, 0.0, "DIFFERENT: within 2e-07"),
        (None, 0.0, "NONE"),
    ],
)
def test_another_result_is_never_passed_over(difference: float | None, tolerance: float, cell: str) -> None:
    assert _cells(table([result(tolerance=tolerance, difference=difference)]).splitlines()[2])[5] == cell


def test_the_sums_count_causes_and_results_apart() -> None:
    played = [result(), result(("rank 0 instead of 1",)), result(difference=0.5)]
    assert summary(played) == "2 of 3 causes right; 2 of 3 results as those of the undisturbed runs"
