"""The agent without torch: starts the ranks and reports their exit codes, seconds faster than torchrun."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from finetune_trainer.launcher.parent_death import PARENT_PID, die_with_parent


def main() -> int:
    die_with_parent()
    os.environ[PARENT_PID] = str(os.getpid())
    options = _options()
    ranks = {rank: _start(options, rank, local) for local, rank in enumerate(_global_ranks(options))}
    while any(rank.poll() is None for rank in ranks.values()):
        if any(rank.poll() not in (None, 0) for rank in ranks.values()):
            for rank in ranks.values():
                if rank.poll() is None:
                    rank.send_signal(signal.SIGTERM)
            _kill_after(list(ranks.values()), float(os.environ.get("FAKE_KILL_SECONDS", "30")))
        time.sleep(0.05)
    codes = {rank: process.returncode for rank, process in ranks.items() if process.returncode != 0}
    report = options.run_dir / "agent.json"
    report.with_suffix(".new").write_text(json.dumps({"exitCodes": codes, "error": None}), encoding="utf-8")
    report.with_suffix(".new").replace(report)
    return 1 if codes else 0


def _kill_after(ranks: Sequence["subprocess.Popen[bytes]"], seconds: float) -> None:
    """What torchrun does to the peers of a rank that left with a code other than 0, whatever they are doing."""
    deadline = time.monotonic() + seconds
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < deadline:
        time.sleep(0.01)
    for rank in ranks:
        rank.kill()
        rank.wait()


def _global_ranks(options: argparse.Namespace) -> range:
    first = options.node_rank * options.nproc_per_node
    return range(first, first + options.nproc_per_node)


def _start(options: argparse.Namespace, rank: int, local: int) -> "subprocess.Popen[bytes]":
    world = options.nnodes * options.nproc_per_node
    environment = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(local),
        "WORLD_SIZE": str(world),
    }
    command = [sys.executable, "-m", options.worker_module, "--spec", str(options.run_dir / "spec.json")]
    return subprocess.Popen(command, env=environment, start_new_session=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("--master-addr", "--master-port", "--run-id", "--worker-module", "--join-timeout"):
        parser.add_argument(name, required=True)
    for name in ("--nnodes", "--node-rank", "--nproc-per-node"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    return parser.parse_known_args()[0]


if __name__ == "__main__":
    sys.exit(main())
