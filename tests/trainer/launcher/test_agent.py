"""The agent: torchrun's own rendezvous and ranks under the launcher, and what it says when it cannot."""

import argparse
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from finetune_trainer.launcher.agent import torchrun_arguments, wait_for_master, wait_for_name, with_patience
from support.launching import wait_until
from support.ports import free_port

REAL = {"agent_module": "finetune_trainer.launcher.agent"}
RUN: dict[str, Any] = {"do": "run"}


def test_an_unreachable_node_0_is_reported_within_the_bound(tmp_path: Path) -> None:
    port, start = free_port(), time.monotonic()
    with pytest.raises(TimeoutError, match=f"node 0 could not be reached at 127.0.0.1:{port} within 0.3 s"):
        wait_for_master("127.0.0.1", port, 0.3)
    assert time.monotonic() - start < 30


def test_a_node_0_that_comes_late_is_waited_for() -> None:
    port = free_port()
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        threading.Timer(0.3, server.listen).start()
        wait_for_master("127.0.0.1", port, 120.0)


def test_a_name_that_dns_learns_late_is_waited_for() -> None:
    answers: list[Exception] = [socket.gaierror(-2, "Name or service not known")] * 3

    def resolve() -> None:
        if answers:
            raise answers.pop()

    with_patience(resolve, "job-0-0.job", 29500, 120.0)
    assert answers == []


def test_a_name_that_dns_never_learns_says_what_to_check() -> None:
    with pytest.raises(TimeoutError, match=r"job-0-0.invalid:29500 within 0 s .* does the job's Service exist"):
        wait_for_name("job-0-0.invalid", 29500, 0.0)


def test_the_rendezvous_is_static_and_without_restarts(tmp_path: Path) -> None:
    arguments = " ".join(torchrun_arguments(_options(tmp_path)))
    assert "--rdzv-backend static" in arguments
    assert "--max-restarts 0" in arguments


def test_what_went_wrong_with_torchrun_is_left_for_the_launcher(tmp_path: Path) -> None:
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in vars(_options(tmp_path)).items()]
    command = [sys.executable, "-m", "finetune_trainer.launcher.agent", *arguments]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    report = json.loads((tmp_path / "agent.json").read_text(encoding="utf-8"))
    assert report["exitCodes"] == {}
    assert "could not be reached" in report["error"]


def test_a_report_for_which_there_is_no_room_leaves_an_exit_code_that_the_launcher_believes(
    start: Any, tmp_path: Path
) -> None:
    (tmp_path / "node-0" / "agent.json").mkdir(parents=True)
    launched = start({0: {"do": "outcome:Retryable"}}, **REAL)
    message = launched.finish()
    assert message.outcome is Outcome.RETRYABLE
    assert "cannot report how the ranks ended ({'exitCodes': {0: 75}" in launched.output


def _options(run_dir: Path) -> argparse.Namespace:
    return argparse.Namespace(
        run_dir=run_dir,
        nnodes=2,
        node_rank=1,
        nproc_per_node=2,
        master_addr="127.0.0.1",
        master_port=free_port(),
        run_id="job-0",
        worker_module="support.fake_worker",
        join_timeout=0.2,
        output=run_dir,
    )


@pytest.mark.distributed
def test_torchrun_runs_the_ranks_and_marks_the_lines_of_all_but_the_first(start: Any) -> None:
    launched = start({0: {"do": "succeed"}, 1: {"do": "succeed"}}, **REAL)
    assert launched.finish().outcome is Outcome.SUCCEEDED
    assert "hello from rank 0 of 2" in launched.output.splitlines()
    assert "[rank 1] hello from rank 1 of 2" in launched.output.splitlines()


@pytest.mark.distributed
def test_torchrun_tells_the_exit_code_behind_its_own(start: Any) -> None:
    launched = start({0: {"do": "succeed", "after": 600}, 1: {"do": "exit:17", "after": 0.3}}, **REAL)
    message = launched.finish()
    assert (message.exit_code, message.rank) == (1, 1)
    assert "rank 1 left with exit code 17" in message.message
    assert "Traceback" not in launched.output


@pytest.mark.distributed
def test_a_kill_under_torchrun_is_told_apart_from_the_launchers_own(start: Any) -> None:
    launched = start({0: {**RUN, "stubborn": True}, 1: RUN}, **REAL)
    launched.rank(0), launched.rank(1)
    launched.send(signal.SIGKILL, "1")
    message = launched.finish()
    assert (message.outcome, message.rank) == (Outcome.CRASHED, 1)
    assert "rank 1 was killed by SIGKILL" in message.message
    assert launched.survivors() == []


@pytest.mark.distributed
@pytest.mark.parametrize("victim", ["launcher", "agent"])
def test_nothing_outlives_a_killed_parent_under_torchrun(start: Any, victim: str) -> None:
    launched = start({0: RUN, 1: {**RUN, "stubborn": True}}, **REAL)
    launched.rank(0), launched.rank(1)
    launched.send(signal.SIGKILL, victim)
    wait_until(lambda: not launched.survivors())


@pytest.mark.distributed
def test_two_nodes_find_each_other_and_drain_together(start: Any) -> None:
    port = free_port()
    shared = {**REAL, "nnodes": 2, "nproc_per_node": 1, "master_port": port}
    nodes = [start({0: RUN, 1: RUN}, node_rank=rank, **shared) for rank in range(2)]
    for rank, node in enumerate(nodes):
        node.rank(rank)
        node.send(signal.SIGTERM)
    assert [node.finish().exit_code for node in nodes] == [143, 143]
