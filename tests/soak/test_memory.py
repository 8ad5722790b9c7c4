"""What a soak keeps, so that it can go on."""

from pathlib import Path

from soak.happenings import Happening
from soak.memory import Chronicle, Memory


def test_a_soak_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    Memory.of(tmp_path / "7", 7, 20).note_done("soak-003")
    assert Memory.of(tmp_path / "7", 7, 20).done == {"soak-003"}


def test_another_script_or_one_that_was_finished_begins_anew(tmp_path: Path) -> None:
    memory = Memory.of(tmp_path / "7", 7, 20)
    memory.note_done("soak-003")
    assert Memory.of(tmp_path / "7", 7, 30).done == set()
    memory = Memory.of(tmp_path / "7", 7, 20)
    memory.note_done("soak-004")
    memory.finish()
    assert Memory.of(tmp_path / "7", 7, 20).done == set()


def test_the_history_of_a_job_is_told_in_order(tmp_path: Path) -> None:
    chronicle = Chronicle(tmp_path / "history.txt")
    job = {"metadata": {"name": "a"}, "spec": {"nodes": 2}, "status": {"restarts": 1}}
    ended = {"exitCode": 137, "reason": "OOMKilled"}
    pod = {
        "metadata": {"name": "a-0-0", "deletionTimestamp": "now"},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": ended}}]},
    }
    chronicle.note("a", Happening(1, "FinetuneJob", "a", job, created=True))
    chronicle.note("a", Happening(2, "Pod", "a-0-0", pod))
    chronicle.note("b", Happening(3, "Pod", "b-0-0", pod, gone=True))
    chronicle.close()
    first, second = chronicle.of("a").splitlines()
    assert "created" in first
    assert "restarts 1" in first
    assert "Failed leaving on node-1" in second
    assert "exit 137 OOMKilled" in second
    assert len((tmp_path / "history.txt").read_text(encoding="utf-8").splitlines()) == 3
