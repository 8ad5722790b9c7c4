"""The pure parts of benchmarks/recovery.py: from moments to figures, without a cluster."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support.shell import ROOT

sys.path.insert(0, str(ROOT))  # benchmarks/ is no installed package

from benchmarks.recovery_clock import Figures, Sample
from benchmarks.recovery_kubeflow import runtime, template, with_values
from benchmarks.recovery_rows import LEADER_SECONDS, ROWS, STEP_TIMEOUT, eldest_of
from benchmarks.recovery_sample import origin_of, sample
from benchmarks.recovery_table import table
from benchmarks.recovery_watch import Place, Sighting, Sightings, Steps

_UID = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"


def _sample(recovery: float | None, **changes: Any) -> Sample:
    """A run struck at 100 whose start takes 12 s when nothing disturbs it."""
    stepped = None if recovery is None else 112.0 + recovery
    usual = {"undisturbed": 12.0, "fault": 100.0, "origin": 100.0, "allowance": 5.0, "stepped": stepped}
    return Sample(**{**usual, "gave_up": 172.0, **changes})


class _Run:
    """A run that began at step 30, was resumed, struck after step 41, and began once more."""

    name = "ours"
    begun, resumed, recovered = 0, 1, 2
    places: tuple[Place, ...] = ()

    def cause(self) -> str:
        return "Failure/Crashed"

    def detected(self, sightings: Sightings, since: float) -> float | None:
        return sightings.first("FinetuneJob", lambda one: bool(one.body["status"]), since)


def _sighting(at: float, change: str, kind: str, **body: Any) -> Sighting:
    return Sighting(at, change, {"kind": kind, "metadata": {"name": "x"}, **body})


def test_a_recovery_is_what_a_fault_costs_beyond_a_start_that_nothing_disturbs() -> None:
    assert _sample(3.5).recovery == 3.5
    assert _sample(3.5, origin=101.0).recovery == 2.5


def test_a_bound_is_kept_up_to_its_last_instant_and_never_by_a_run_that_did_not_recover() -> None:
    assert _sample(5.0).kept
    assert not _sample(5.25).kept
    assert not _sample(None, allowance=1e9).kept


def test_a_run_that_did_not_recover_tells_how_long_was_waited() -> None:
    found = _sample(None)
    assert found.recovery is None
    assert found.at_least == 60.0


def test_the_parts_of_a_recovery_make_up_the_whole() -> None:
    found = _sample(3.5, detected=101.5, created=102.0)
    assert found.parts == (1.5, 0.5, 1.5)
    assert sum(found.parts) == found.recovery
    assert _sample(3.5).parts is None


def test_of_several_samples_the_median_is_told_and_the_slowest() -> None:
    found = Figures.of(
        [
            _sample(1.0, steps_lost=3, cause="Failure/Crashed"),
            _sample(9.0, steps_lost=7, cause="Hang/Hang"),
            _sample(2.0),
        ]
    )
    assert (found.recovery, found.worst) == (2.0, 9.0)
    assert (found.kept, found.samples) == (2, 3)
    assert found.steps_lost == 7
    assert found.causes == ["Failure/Crashed", "Hang/Hang"]


def test_a_sample_that_never_recovered_is_slower_than_any_other() -> None:
    assert Figures.of([_sample(1.0), _sample(None), _sample(2.0)]).recovery == 2.0
    assert Figures.of([_sample(None), _sample(None), _sample(2.0)]).recovery is None
    assert Figures.of([_sample(None)]).worst is None


def test_steps_are_known_by_their_attempt_also_when_it_writes_the_file_anew(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    steps = Steps(file)
    steps.look(1.0)
    _write(file, [(0, 1), (0, 2)], tail='{"attempt": 0, "st')
    steps.look(2.0)
    draft = tmp_path / "draft"
    _write(draft, [(0, 1), (1, 2), (1, 3)])
    draft.replace(file)
    steps.look(3.0)
    assert steps.first(1) == (2, 3.0)
    assert (steps.last(0), steps.last(1), steps.last(2)) == (2, 3, 0)
    assert steps.at[0, 1] == 2.0
    assert steps.first(2) is None


def test_a_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    steps = Steps(file)
    _write(file, [], tail='{"attempt": 0, "st')
    steps.look(1.0)
    with file.open("a") as more:
        more.write('ep": 1}\n{"event": "eval", "attempt": 0, "step": 7}\n')
    steps.look(2.0)
    assert steps.at == {(0, 1): 2.0}


def test_moments_become_a_sample() -> None:
    steps = Steps(Path("nowhere"))
    steps.at = {(1, 31): 22.0, (1, 41): 24.0, (2, 31): 40.0}
    sightings = Sightings(
        [
            _sighting(9.0, "ADDED", "Pod"),
            _sighting(11.0, "ADDED", "Pod"),
            _sighting(26.0, "MODIFIED", "Pod"),
            _sighting(26.5, "MODIFIED", "FinetuneJob", status={"attempts": 1}),
            _sighting(27.0, "ADDED", "Pod"),
        ]
    )
    found = sample(_Run(), "fault", 5.0, steps, sightings, asked=10.0, fault=25.0, gave_up=40.0)  # type: ignore[arg-type]
    assert found.undisturbed == 11.0
    assert (found.detected, found.created, found.stepped) == (26.5, 27.0, 40.0)
    assert found.recovery == 40.0 - 25.0 - 11.0
    assert found.steps_lost == 11
    assert found.cause == "Failure/Crashed"
    assert found.same_checkpoint


def test_a_run_that_saved_before_it_was_struck_is_told_apart() -> None:
    steps = Steps(Path("nowhere"))
    steps.at = {(1, 31): 22.0, (1, 41): 24.0, (2, 42): 40.0}
    sightings = Sightings([_sighting(11.0, "ADDED", "Pod")])
    found = sample(_Run(), "fault", 5.0, steps, sightings, asked=10.0, fault=25.0, gave_up=40.0)  # type: ignore[arg-type]
    assert found.steps_lost == 0
    assert not found.same_checkpoint


def test_bounds_count_from_what_they_say() -> None:
    ready, gone = ({"conditions": [{"type": "Ready", "status": status}]} for status in ("True", "Unknown"))
    sightings = Sightings(
        [
            _sighting(1.0, "MODIFIED", "Node", status=gone),
            _sighting(12.0, "MODIFIED", "Node", status=ready),
            _sighting(50.0, "MODIFIED", "Node", status=gone),
            _sighting(51.0, "MODIFIED", "Lease"),
        ]
    )
    assert origin_of("fault", sightings, 10.0) == 10.0
    assert origin_of("not ready", sightings, 10.0) == 50.0
    assert origin_of("operator back", sightings, 10.0) == 51.0
    assert origin_of("not ready", sightings, 60.0) is None


def test_a_watch_that_ended_is_no_absence_of_news() -> None:
    with pytest.raises(OSError, match="gone"):
        Sightings(error=OSError("gone")).first("Pod", lambda one: True, 0.0)


def test_the_bounds_are_those_that_are_promised() -> None:
    pods = [{"spec": {"terminationGracePeriodSeconds": 30}}]
    promised = {"rank killed": 5, "pod deleted": 35, "pod evicted (drain)": 35, "hang": STEP_TIMEOUT + 5}
    promised |= {"operator killed, rank too": 5, "node dead": 20}
    assert {row.name: row.allowance(pods) for row in ROWS} == promised
    assert LEADER_SECONDS == 15


def test_a_rank_is_told_from_its_data_loaders_and_from_ranks_of_other_pods(tmp_path: Path) -> None:
    _process(tmp_path, 7, parent=1, pod=_UID, command="python -m finetune_trainer.launcher")
    _process(tmp_path, 30, parent=20, pod=_UID, command="python -u -m finetune_trainer.worker")
    _process(tmp_path, 9, parent=30, pod=_UID, command="python -u -m finetune_trainer.worker")
    _process(tmp_path, 8, parent=1, pod="another", command="python -u -m finetune_trainer.worker")
    pod = {"metadata": {"uid": _UID, "name": "x"}}
    assert eldest_of(pod, "-m finetune_trainer.worker", tmp_path) == 30
    with pytest.raises(LookupError, match="is on this machine"):
        eldest_of(pod, "-m something.else", tmp_path)


def test_the_peers_pods_are_ours_under_the_peers_names() -> None:
    command = ["python", "--node-rank", "0", "--attempt", "0", "--master-addr", "job-0-0.job", "--grace", "25"]
    container = {"name": "trainer", "command": command, "env": []}
    claim = {"name": "output", "persistentVolumeClaim": {"claimName": "ours"}}
    pod = {"spec": {"hostname": "h", "subdomain": "s", "containers": [container], "volumes": [claim]}}
    spec = template(pod, "second", 2)
    (made,) = spec["containers"]
    assert "hostname" not in spec
    assert made["command"] == with_values(
        command, {"--node-rank": "$(JOB_COMPLETION_INDEX)", "--attempt": "2$(RESTARTS)"} | _master("second")
    )
    assert made["command"][-2:] == ["--grace", "25"]
    assert spec["volumes"][0]["persistentVolumeClaim"]["claimName"] != "ours"
    assert command[2] == "0", "our own pod was changed"


def test_the_peer_restarts_the_whole_group() -> None:
    body = runtime({"containers": []}, "first")["spec"]["template"]["spec"]
    (job,) = body["replicatedJobs"]
    assert body["failurePolicy"]["maxRestarts"] > 0
    assert job["template"]["spec"]["backoffLimit"] == 0


def test_the_table_says_what_was_kept_and_what_was_waited_for_in_vain() -> None:
    ours = Figures.of([_sample(3.0, steps_lost=4, detected=101.0, created=102.0), _sample(7.0)])
    text = table({"rank killed": {"ours": ours, "kubeflow": Figures.of([_sample(None)])}}, {"rank killed": "5 s"})
    rows = [line.split() for line in text.splitlines()]
    assert rows[1][:5] == ["rank", "killed", "ours", "5.0", "s"]
    assert "1 of 2" in text
    assert rows[2][:5] == ["rank", "killed", "kubeflow", ">", "60"]


def test_figures_of_a_machine_that_was_not_quiet_say_so() -> None:
    quiet = Figures.of([_sample(3.0, detected=101.0, created=102.0)])
    noisy = Figures.of([_sample(9.0, detected=101.0, created=102.0)])
    bounds = {"rank killed": "5 s"}
    assert "not quiet" not in table({"rank killed": {"ours": quiet}}, bounds)
    assert "not quiet, starts differ; measure again: rank killed, ours" in table(
        {"rank killed": {"ours": noisy}}, bounds
    )


def test_only_a_run_that_lost_steps_should_have_begun_at_the_same_checkpoint() -> None:
    drained, late = (Figures.of([_sample(3.0, steps_lost=lost, same_checkpoint=False)]) for lost in (0, 2))
    assert "same checkpoint" not in table({"pod deleted": {"ours": drained}}, {"pod deleted": "5 s"})
    assert "same checkpoint" in table({"pod deleted": {"ours": late}}, {"pod deleted": "5 s"})


def _write(file: Path, lines: list[tuple[int, int]], tail: str = "") -> None:
    whole = [json.dumps({"attempt": attempt, "step": step}) + "\n" for attempt, step in lines]
    file.write_text("".join(whole) + tail)


def _process(proc: Path, pid: int, *, parent: int, pod: str, command: str) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "cgroup").write_text(f"3:cpu:/node-2/kubepods/pod{pod}/c0ffee\n")
    (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
    (folder / "stat").write_text(f"{pid} (python (x)) S {parent} 1 1 0")


def _master(name: str) -> dict[str, str]:
    return {"--master-addr": f"{name}-node-0-0.{name}"}
