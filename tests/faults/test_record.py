from pathlib import Path

from faults.cases import CASES, SEED
from faults.record import Record, Result, Target, expect
from faults.samples import RECORD, result

_BY_NAME = {case.name: case for case in CASES}
_TARGET = Target(rank=1, step=7, pod="job-0-1", node="node-2")


def test_the_judge_reads_what_was_written_before_the_strike(tmp_path: Path) -> None:
    RECORD.write(tmp_path / "new" / "case.expected.json")
    assert Record.read(tmp_path / "new" / "case.expected.json") == RECORD


def test_a_result_is_read_back_as_it_was_found(tmp_path: Path) -> None:
    found = result(("rank 0 instead of 1",), attempts=("0: Failure/Crashed",))
    found.write(tmp_path / "case.json")
    assert Result.read(tmp_path / "case.json") == found


def test_a_killed_rank_is_to_be_named_with_its_pod_and_node() -> None:
    record = expect(_BY_NAME["rank-killed"], SEED, _TARGET)
    assert (record.rank, record.pod, record.node, record.exit_code, record.restarts) == (1, "job-0-1", "node-2", 1, 1)
    assert record.words == ("rank 1 was killed by SIGKILL",)


def test_of_a_dead_node_only_the_node_can_be_known_and_no_restart_is_used_up() -> None:
    record = expect(_BY_NAME["node-stopped"], SEED, _TARGET)
    assert (record.rank, record.pod, record.node, record.restarts) == (None, None, "node-2", 0)
