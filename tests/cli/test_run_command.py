"""`finetune run` as a process, over TorchX's local scheduler, with ranks that need no torch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from finetune_cli.app import app
from support.commands import Command
from support.configs import manifest, training, write_yaml
from support.launching import wait_until

RUN: dict[str, Any] = {"do": "run"}


class Start(Protocol):
    def __call__(self, ranks: dict[int, dict[str, Any]], *arguments: str) -> Command: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda ranks, *arguments: stack.enter_context(Command(tmp_path, ranks, arguments))


@pytest.mark.distributed
def test_a_run_that_succeeds_shows_its_lines_and_its_outcome(start: Start) -> None:
    command = start({0: {"do": "succeed"}, 1: {"do": "succeed"}}, "--nproc", "2")
    assert command.finish() == 0, command.stderr
    assert "hello from rank 1 of 2" in command.stdout
    assert "Succeeded: done" in command.stdout
    assert command.survivors() == []


@pytest.mark.distributed
def test_the_exit_code_and_the_json_are_the_trainers(start: Start) -> None:
    command = start({0: RUN, 1: {"do": "outcome:Diverged"}}, "--nproc", "2", "--json")
    assert command.finish() == 7
    report = json.loads(command.stdout)
    assert (report["outcome"], report["rank"], report["step"], report["exitCode"]) == ("Diverged", 1, 3, 7)
    assert report["output"] == str(command.output)
    assert "Diverged (rank 1, step 3): fake Diverged" in command.stderr


@pytest.mark.distributed
def test_the_first_cause_over_two_nodes_is_named(start: Start) -> None:
    ranks = {0: RUN, 1: {"do": "signal:9", "after": 0.2}}
    ranks[0] = {"do": "outcome:Retryable", "after_rank": 7, "after": 0}  # never: killed with its node
    command = start(ranks, "--nodes", "2", "--json")
    assert command.finish() == 1
    report = json.loads(command.stdout)
    assert (report["outcome"], report["rank"]) == ("Crashed", 1)
    assert "rank 1 was killed by SIGKILL" in report["message"]
    assert command.survivors() == []


@pytest.mark.distributed
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_request_lets_every_node_save_and_leave(start: Start, number: signal.Signals, code: int) -> None:
    command = start({0: {**RUN, "drain": 0.2}, 1: {**RUN, "drain": 0.6}}, "--nodes", "2")
    command.wait_for_ranks(0, 1)
    command.send(number)
    assert command.finish() == code
    assert "asked to save and leave" in command.stdout
    assert "saved and left" in command.stdout
    assert command.survivors() == []


@pytest.mark.distributed
def test_a_second_request_kills_at_once(start: Start) -> None:
    command = start({0: {**RUN, "drain": 600}, 1: RUN}, "--nproc", "2", "--grace", "600")
    command.wait_for_ranks(0, 1)
    command.send(signal.SIGINT)
    wait_until(lambda: command.node().read_outcome("1") is not None)  # the first request has reached the ranks
    command.send(signal.SIGINT)
    assert command.finish() == 130
    assert command.survivors() == []


@pytest.mark.distributed
def test_ranks_that_outlast_the_grace_are_killed(start: Start) -> None:
    command = start({0: {**RUN, "stubborn": True}}, "--grace", "0.5")
    command.wait_for_ranks(0)
    command.send(signal.SIGTERM)
    assert command.finish() == 75
    assert command.survivors() == []


@pytest.mark.distributed
def test_a_killed_command_leaves_no_orphan(start: Start) -> None:
    command = start({0: RUN, 1: {**RUN, "stubborn": True}}, "--nproc", "2")
    command.wait_for_ranks(0, 1)
    assert len(command.survivors()) >= 3
    command.send(signal.SIGKILL)
    wait_until(lambda: not command.survivors())


@pytest.mark.distributed
def test_a_killed_launcher_is_named_and_leaves_no_orphan(start: Start) -> None:
    command = start({0: RUN})
    command.wait_for_ranks(0)
    os.kill(command.node().read_pid("launcher") or 0, signal.SIGKILL)
    assert command.finish() == 1
    assert "the launcher of node 0 died without a word" in command.stdout
    assert command.survivors() == []


@pytest.mark.distributed
def test_a_manifest_runs_with_directories_for_its_claims(tmp_path: Path) -> None:
    config = training()
    config["train_loader"]["dataset"]["hf_kwargs"] = {"data_dir": "/data/arc"}
    (tmp_path / "questions").mkdir()
    (tmp_path / "results").mkdir()
    claim = {"persistentVolumeClaim": {"claimName": "questions"}}
    job = manifest(config, dataset={"volume": claim}, processesPerNode=2)
    arguments = ("--mount", "questions=questions", "--mount", "results=results")
    ranks = {0: {"do": "succeed"}, 1: {"do": "succeed"}}
    with Command(tmp_path, ranks, arguments, job, tmp_path / "results") as command:
        assert command.finish() == 0, command.stderr
        resolved = json.loads((command.output / "logs/attempt-0/config.json").read_text(encoding="utf-8"))
        kwargs = resolved["train_loader"]["dataset"]["hf_kwargs"]
        assert kwargs["data_dir"] == str(tmp_path / "questions" / "arc")
        assert "hello from rank 1 of 2" in command.stdout


def invoke(tmp_path: Path, config: dict[str, Any], *arguments: str) -> Any:
    file = write_yaml(tmp_path / "train.yaml", config)
    return CliRunner().invoke(app, ["run", str(file), *arguments])


def test_a_used_output_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metrics.jsonl").touch()
    result = invoke(tmp_path, training(), "--output", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "is not empty; continue what is there with --resume" in result.stderr
    assert not (tmp_path / "out" / "logs").exists()


def test_a_mistake_in_the_file_is_told_without_a_traceback(tmp_path: Path) -> None:
    result = invoke(tmp_path, training(max_seq_len="long"))
    assert result.exit_code == 2
    assert "ConfigInvalid: max_seq_len" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_batch_that_the_ranks_cannot_share_is_refused_before_anything_starts(tmp_path: Path) -> None:
    result = invoke(tmp_path, training(), "--nproc", "3", "--output", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "global_train_batch_size" in result.stderr
    assert not (tmp_path / "out").exists()


def test_without_the_trainer_extra_the_message_names_it() -> None:
    code = (
        "import sys; from finetune_cli.errors import require_trainer, told_to_user; sys.path.clear()\n"
        "with told_to_user(): require_trainer()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "torch and transformers and datasets not installed; pip install 'finetune-operator[" in done.stderr
