"""Preflight through whole launchers: what they print, what they leave, and that torchrun starts afterwards."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from finetune_trainer.launcher.meeting import Verdict
from finetune_trainer.launcher.preflight import tell
from finetune_trainer.run_dir import RunDir
from support.dropping import dropping_port
from support.launching import Launched, wait_until
from support.ports import free_port

REAL = {"agent_module": "finetune_trainer.launcher.agent", "nnodes": 2, "nproc_per_node": 1}


def two_nodes(start: Any, ranks: dict[int, Any], **options: Any) -> list[Launched]:
    port = free_port()
    return [start(ranks, node_rank=rank, master_port=port, **REAL, **options) for rank in range(2)]


@pytest.mark.distributed
def test_two_nodes_meet_and_train(start: Any) -> None:
    nodes = two_nodes(start, {0: {"do": "succeed"}, 1: {"do": "succeed"}})
    assert [node.finish().outcome for node in nodes] == [Outcome.SUCCEEDED] * 2
    for node in nodes:
        assert "preflight: node 0 (" in node.output
        assert "preflight: node 1 (" in node.output
        assert node.output.count("Gbit/s") == 2
        assert node.dir.read_preflight()["fault"] is None


def test_a_node_that_reaches_nobody_says_so_in_its_last_words(start: Any, tmp_path: Path) -> None:
    with dropping_port() as port:
        log = tmp_path / "last-words"
        node = start({1: {"do": "run"}}, node_rank=1, master_port=port, termination_log=log, **REAL)
        message = node.finish()
    assert (message.outcome, message.reason) == (Outcome.RETRYABLE, "PreflightFailed")
    assert f"node 1 cannot connect to node 0 at 127.0.0.1:{port}" in message.message
    assert json.loads(log.read_text())["suspects"] == [0, 1]
    assert "Traceback" not in node.output


def test_a_request_to_leave_ends_the_meeting_at_once(start: Any) -> None:
    node = start({0: {"do": "run"}}, node_rank=0, **REAL)
    wait_until(lambda: _listens(node))
    node.send(signal.SIGTERM)
    message = node.finish()  # it would wait for half an hour for the node that never comes
    assert message.outcome is Outcome.RETRYABLE
    assert "stopped by SIGTERM before there was anything to save" in message.message


def test_nodes_of_another_attempt_do_not_mix(start: Any) -> None:
    port = free_port()
    start({0: {"do": "run"}}, node_rank=0, master_port=port, attempt=2, **REAL)
    message = start({1: {"do": "run"}}, node_rank=1, master_port=port, attempt=1, **REAL).finish()
    assert (message.outcome, message.reason) == (Outcome.RETRYABLE, "Retryable")
    assert "another attempt or another job meets here" in message.message


def test_warnings_reach_whoever_watches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell(Verdict(warnings=["node 2 (job-0-2) is slow"], nodes=["node 0: fine"]), RunDir(tmp_path))
    assert "preflight: warning: node 2 (job-0-2) is slow" in capsys.readouterr().out
    assert "node 2 (job-0-2) is slow" in RunDir(tmp_path).progress_file.read_text()


def _listens(node: Launched) -> bool:
    """Whether the agent's meeting has begun, which only its open sockets show from outside."""
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children")
    pids = children.read_text().split() if children.exists() else []
    return any(_opened(entry).startswith("socket:") for pid in pids for entry in Path(f"/proc/{pid}/fd").iterdir())


def _opened(entry: Path) -> str:
    try:
        return entry.readlink().name
    except FileNotFoundError:  # closed since it was listed
        return ""
