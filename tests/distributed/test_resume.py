"""A run that was struck down and resumed ends where an undisturbed one ends, and leaves no process behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.arc_runs import ArcRun, processes_mentioning, step_lines, wait_for, weights
from support.launching import wait_until
from support.ports import free_port
from support.shell import quiet_environment

pytestmark = pytest.mark.distributed

EVERY_STEP = "save_interval=1ba"
KEEP_TWO = "save_num_checkpoints_to_keep=2"
STEPS = "max_duration=24ba"

Strike = Callable[[subprocess.Popen[str], Path], None]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ArcRun:
    """A run without dropout, on one rank, undisturbed."""
    run = ArcRun.create(tmp_path_factory.mktemp("plain"))
    run.finish(run.root / "undisturbed", STEPS)
    return run


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> ArcRun:
    """A run with dropout, on two ranks, undisturbed."""
    run = ArcRun.create(tmp_path_factory.mktemp("noisy"), dropout=0.1)
    run.finish(run.root / "undisturbed", STEPS, "--nproc", "2")
    return run


def rank_pid(output: Path, rank: int) -> int:
    return int((output / "logs" / "attempt-0" / "node-0" / f"pid.{rank}").read_text())


def kill_rank(process: subprocess.Popen[str], output: Path) -> None:
    os.kill(rank_pid(output, 0), signal.SIGKILL)


def kill_launcher(process: subprocess.Popen[str], output: Path) -> None:
    launchers = [pid for pid in processes_mentioning(str(output)) if _runs(pid, "finetune_trainer.launcher\0")]
    assert launchers
    for pid in launchers:
        os.kill(pid, signal.SIGKILL)


def _runs(pid: int, module: str) -> bool:
    return module in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")


def strike_at_step(run: ArcRun, output: Path, step: int, strike: Strike, *arguments: str) -> int:
    """Start a run, strike it once it has done `step` steps, and return its exit code."""
    process = run.start(output, STEPS, *arguments, fault=held("step", step + 1))
    wait_for(is_held(output), process)
    assert len(step_lines(output)) == step
    strike(process, output)
    return process.wait(timeout=300)


def held(point: str, step: int) -> dict[str, object]:
    """Rank 0 waits at a point of a step until it may go on, and all steps take a while: nobody strikes too late."""
    return {"rank": 0, "point": point, "step": step, "do": "pass", "pace": 0.3}


def is_held(output: Path) -> Callable[[], bool]:
    return (output / "strike" / "reached").exists


def let_go(output: Path) -> None:
    (output / "strike" / "go").touch()


def assert_same_run(output: Path, undisturbed: Path, *, exactly: bool) -> None:
    actual, expected = step_lines(output), step_lines(undisturbed)
    assert [line["step"] for line in actual] == list(range(1, 25))
    assert [line["rows"] for line in actual] == [line["rows"] for line in expected]
    assert [line["loss"] for line in actual] == pytest.approx([line["loss"] for line in expected], rel=1e-5)
    if exactly:
        assert weights(output) == weights(undisturbed)


def terminate(process: subprocess.Popen[str], output: Path) -> None:
    ask_to_leave(process, output, signal.SIGTERM)


def interrupt(process: subprocess.Popen[str], output: Path) -> None:
    ask_to_leave(process, output, signal.SIGINT)


def ask_to_leave(process: subprocess.Popen[str], output: Path, number: signal.Signals) -> None:
    process.send_signal(number)
    wait_for(lambda: "asked to save and leave" in output.with_suffix(".log").read_text(), process)
    let_go(output)


def test_sigterm_saves_and_the_resumed_run_has_bit_identical_weights(plain: ArcRun) -> None:
    output = plain.root / "terminated"
    assert strike_at_step(plain, output, 5, terminate) == 143
    done = len(step_lines(output))
    assert (output / "checkpoints" / f"step-{done:08d}-attempt-0000" / "manifest.json").exists()
    plain.finish(output, STEPS, "--resume")
    assert_same_run(output, plain.root / "undisturbed", exactly=True)
    assert {line["attempt"] for line in step_lines(output)} == {0, 1}


def test_ctrl_c_saves_and_another_world_size_continues_on_the_same_rows(plain: ArcRun) -> None:
    output = plain.root / "interrupted"
    assert strike_at_step(plain, output, 5, interrupt) == 130
    plain.finish(output, STEPS, "--resume", "--nproc", "2")
    assert_same_run(output, plain.root / "undisturbed", exactly=False)


def test_a_killed_rank_is_named_and_the_resumed_run_continues(plain: ArcRun) -> None:
    output = plain.root / "rank-killed"
    code = strike_at_step(plain, output, 5, kill_rank, EVERY_STEP, KEEP_TWO, "--nproc", "2")
    assert code not in (0, 75, 143)
    log = output.with_suffix(".log").read_text()
    assert "rank 0" in log
    assert "SIGKILL" in log
    wait_until(lambda: processes_mentioning(str(output)) == [])
    plain.finish(output, STEPS, "--resume", EVERY_STEP, KEEP_TWO)
    assert_same_run(output, plain.root / "undisturbed", exactly=False)
    assert len(list((output / "checkpoints").iterdir())) == 2


def test_a_killed_launcher_leaves_no_orphan_and_dropout_survives_the_resume(noisy: ArcRun) -> None:
    output = noisy.root / "launcher-killed"
    code = strike_at_step(noisy, output, 5, kill_launcher, EVERY_STEP, "--nproc", "2")
    assert code not in (0, 143)
    wait_until(lambda: processes_mentioning(str(output)) == [])  # a rank that is held would live for ever
    noisy.finish(output, STEPS, "--resume", "--nproc", "2")
    assert_same_run(output, noisy.root / "undisturbed", exactly=True)


def test_a_kill_during_a_save_leaves_the_previous_checkpoint_to_resume_from(plain: ArcRun) -> None:
    output = plain.root / "save-killed"
    process = plain.start(output, STEPS, EVERY_STEP, fault=held("save", 4))
    checkpoints = output / "checkpoints"
    wait_for(is_held(output), process)
    saved = sorted(checkpoints.glob("step-*"))
    assert [(folder / "manifest.json").exists() for folder in saved] == [True] * (len(saved) - 1) + [False]
    kill_rank(process, output)
    assert process.wait(timeout=300) not in (0, 143)
    plain.finish(output, STEPS, "--resume")
    assert_same_run(output, plain.root / "undisturbed", exactly=True)
    assert all((folder / "manifest.json").exists() for folder in checkpoints.iterdir())


def copy_of_undisturbed(run: ArcRun, name: str) -> Path:
    return Path(shutil.copytree(run.root / "undisturbed", run.root / name))


def test_a_finished_run_that_is_resumed_goes_straight_to_the_export(plain: ArcRun) -> None:
    output = copy_of_undisturbed(plain, "finished")
    shutil.rmtree(output / "model")
    plain.finish(output, STEPS, "--resume")
    assert weights(output) == weights(plain.root / "undisturbed")
    assert len(step_lines(output)) == 24


def test_a_checkpoint_of_another_dataset_is_refused_and_the_summary_stays(plain: ArcRun) -> None:
    output = copy_of_undisturbed(plain, "other-data")
    plain.finish(output, STEPS, "max_seq_len=100", "--resume", expect=2)
    assert "another dataset" in output.with_suffix(".log").read_text()
    assert (output / "run.json").read_text() == (plain.root / "undisturbed" / "run.json").read_text()


def test_a_checkpoint_of_another_model_is_refused(plain: ArcRun) -> None:
    output = copy_of_undisturbed(plain, "other-model")
    plain.finish(output, STEPS, "--resume", "model.config_overrides.n_layer=1", "model.pretrained=false", expect=2)
    assert "another model" in output.with_suffix(".log").read_text()


def test_the_run_says_what_it_was(plain: ArcRun) -> None:
    facts = json.loads((plain.root / "undisturbed" / "run.json").read_text())
    assert facts["outcome"]["outcome"] == "Succeeded"
    assert (facts["world_size"], facts["attempt"]) == (1, 0)
    assert {"import", "prepare", "load", "first_step", "steps", "export", "total"} <= set(facts["timings"])


def test_a_run_continues_beside_new_code_and_a_new_evaluation_when_its_rows_are_the_same(plain: ArcRun) -> None:
    output = copy_of_undisturbed(plain, "more-files")
    (plain.root / "plot.py").write_text("# nothing to do with the rows\n")
    loader = json.loads(plain.file.read_text())["train_loader"]
    (plain.root / "with-eval.yaml").write_text(
        json.dumps({**json.loads(plain.file.read_text()), "eval_loader": {**loader, "drop_last": False}})
    )
    ArcRun(plain.root, plain.root / "with-eval.yaml").finish(output, "max_duration=26ba", "--resume")
    assert [line["step"] for line in step_lines(output)] == list(range(1, 27))


def test_a_run_that_a_newer_attempt_overtakes_ends_saying_by_which(plain: ArcRun) -> None:
    output = plain.root / "overtaken"
    process = plain.start(output, STEPS, EVERY_STEP, fault=held("step", 3))
    wait_for(is_held(output), process)
    own = json.loads((output / "attempts" / "0.json").read_text())
    (output / "attempts" / "9.json").write_text(json.dumps({"attempt": 9, "uid": own["uid"], "base": None}))
    let_go(output)
    assert process.wait(timeout=300) == 75
    told = json.loads((output / "logs" / "attempt-0" / "node-0" / "termination.json").read_text())
    assert (told["outcome"], told["reason"], told["claimedAttempt"]) == ("Retryable", "Superseded", 9)
    assert "attempt 9 has taken over" in told["message"]
    assert not (output / "run.json").exists()


def test_a_new_job_that_names_a_finished_one_goes_straight_to_the_export(plain: ArcRun) -> None:
    output = copy_of_undisturbed(plain, "created-again")
    old = json.loads((output / "run.json").read_text())["job_uid"]
    shutil.rmtree(output / "model")
    config = plain.root / "whole.json"
    config.write_text(json.dumps(json.loads(plain.file.read_text()) | {"max_duration": "24ba"}))
    options = {
        "config": config,
        "output": output,
        "run-dir": plain.root / "node",
        "cache": plain.root / "cache",
        "job-uid": "new",
        "master-port": free_port(),
    }
    command = [
        sys.executable,
        "-m",
        "finetune_trainer.launcher",
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    environment = quiet_environment(plain.root / "cache")
    refused = subprocess.run(command, cwd=plain.root, env=environment, capture_output=True, timeout=300, check=False)
    assert refused.returncode == 2
    command.append(f"--resume-from={old}")
    done = subprocess.run(command, cwd=plain.root, env=environment, capture_output=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert weights(output) == weights(plain.root / "undisturbed")
    assert len(step_lines(output)) == 24
    summary = json.loads((output / "run.json").read_text())
    assert (summary["outcome"]["outcome"], summary["job_uid"]) == ("Succeeded", "new")


def test_a_damaged_checkpoint_costs_steps_and_not_the_result(plain: ArcRun) -> None:
    output = plain.root / "damaged"
    assert strike_at_step(plain, output, 5, terminate, EVERY_STEP) == 143
    newest = sorted((output / "checkpoints").glob("step-*"))[-1]
    with (newest / "__0_0.distcp").open("r+b") as file:
        file.truncate(1000)
    plain.finish(output, STEPS, "--resume")
    assert_same_run(output, plain.root / "undisturbed", exactly=True)
    log = output.with_suffix(".log").read_text()
    assert f"checkpoint {newest} is damaged: __0_0.distcp has 1000 bytes" in log
    assert "the run falls back to step" in log
    assert (output / "checkpoints" / f"damaged-{newest.name}").is_dir()
