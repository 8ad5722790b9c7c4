"""`python -m finetune_trainer.launcher.agent`: torchrun for one node's ranks, telling how each ended.

torchrun exits with 1 whatever its workers did, so this process writes `agent.json`: the exit code of every
rank that failed, or what went wrong with torchrun itself. It is not the launcher because it imports torch.
"""

import argparse
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from finetune_api.errors import RunError
from finetune_api.outcomes import Outcome, exit_code
from finetune_trainer.launcher.parent_death import PARENT_PID, die_with_parent
from finetune_trainer.launcher.preflight import preflight
from finetune_trainer.run_dir import write_atomically

_CONNECT_SECONDS = 2.0
_RETRY_SECONDS = 0.2
_TELL_SECONDS = 30.0
_MONITOR_SECONDS = 0.1
_RANK_PREFIX = "TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ranks; 0 when all succeeded, 1 otherwise, with `agent.json` telling more."""
    die_with_parent()
    os.environ[PARENT_PID] = str(os.getpid())  # the ranks die with this process, and it with the launcher
    options = _parser().parse_args(argv)
    codes: dict[int, int] = {}
    error: str | None = None
    reason: str | None = None
    try:
        if options.preflight:
            preflight(options)
        codes = _run_ranks(options)
    except Exception as failure:
        error = f"torchrun could not run the ranks of node {options.node_rank}: {failure}"
        if isinstance(failure, RunError):
            error, reason = str(failure), failure.reason
        print(error, file=sys.stderr)
    report = {"exitCodes": codes, "error": error, "reason": reason}
    try:
        write_atomically(options.run_dir / "agent.json", json.dumps(report))
    except OSError as failure:  # the exit code is all that is left, and the launcher believes this one
        print(f"cannot report how the ranks ended ({report}): {failure}", file=sys.stderr)
        return exit_code(Outcome.RETRYABLE)
    return 1 if codes or error else 0


def wait_for_master(host: str, port: int, timeout: float) -> None:
    """Return once node 0 listens; raise `TimeoutError` with a clear sentence after `timeout` seconds.

    Every try is short: the kernel's own answer to a dropped SYN is to back off for minutes.
    """
    with_patience(lambda: socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close(), host, port, timeout)


def wait_for_name(host: str, port: int, timeout: float) -> None:
    """Return once node 0's name is known: it meets the others under the name that they use; raises as above."""
    with_patience(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), host, port, timeout)


def with_patience(attempt: Callable[[], object], host: str, port: int, timeout: float) -> None:
    """Call `attempt` until it raises no OSError, saying now and then what is waited for."""
    began = told = time.monotonic()
    while True:
        try:
            attempt()
            return
        except OSError as failure:
            now = time.monotonic()
            if now > began + timeout:
                raise TimeoutError(
                    f"node 0 could not be reached at {host}:{port} within {timeout:g} s ({failure}); {_advice(failure)}"
                ) from failure
            if now > told + _TELL_SECONDS:
                told = now
                print(f"waiting for node 0 at {host}:{port} for {now - began:.0f} s: {failure}", flush=True)
        time.sleep(_RETRY_SECONDS)


def _advice(failure: OSError) -> str:
    if isinstance(failure, socket.gaierror):
        return "does its pod have an address, does the job's Service exist, and does the cluster's DNS answer?"
    return "is its pod running, and may this one connect to it?"


def torchrun_arguments(options: argparse.Namespace) -> list[str]:
    """torchrun's command line: a static rendezvous and no restarts, because the whole group is the unit."""
    return [
        *("--nnodes", str(options.nnodes), "--node-rank", str(options.node_rank)),
        *("--nproc-per-node", str(options.nproc_per_node)),
        *("--rdzv-backend", "static", "--rdzv-id", options.run_id),
        *("--rdzv-conf", f"timeout={int(options.join_timeout)}"),
        *("--master-addr", options.master_addr, "--master-port", str(options.master_port)),
        *("--max-restarts", "0", "--monitor-interval", str(_MONITOR_SECONDS)),
        *("--log-dir", str(options.run_dir / "torchrun"), "--tee", _tee(options)),
        *("--module", options.worker_module, "--spec", str(options.run_dir / "spec.json")),
    ]


def _tee(options: argparse.Namespace) -> str:
    """Rank 0 writes straight through, the others through torchrun, which puts their rank before each line."""
    local_ranks = range(1 if options.node_rank == 0 else 0, options.nproc_per_node)
    if options.nproc_per_node > 10:  # torchrun's per-rank syntax knows single digits only
        return "3"
    return ",".join(f"{rank}:3" for rank in local_ranks) or "0"


def _run_ranks(options: argparse.Namespace) -> dict[int, int]:
    """Run to the end and return the exit codes other than 0, by global rank."""
    os.environ[_RANK_PREFIX] = "[rank ${rank}] "
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # Node 0 listens itself, and connects to itself by name.
    wait = wait_for_master if options.node_rank > 0 else wait_for_name
    wait(options.master_addr, options.master_port, options.join_timeout)
    logging.disable(logging.CRITICAL)  # torchrun's account of a failure; the launcher tells it better
    try:
        arguments = torchrun.parse_args(torchrun_arguments(options))  # type: ignore[no-untyped-call]
        torchrun.run(arguments)  # type: ignore[no-untyped-call]
    except ChildFailedError as failed:
        return {rank: failure.exitcode for rank, failure in failed.failures.items()}
    return {}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune_trainer.launcher.agent")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--nnodes", type=int, required=True)
    parser.add_argument("--node-rank", type=int, required=True)
    parser.add_argument("--nproc-per-node", type=int, required=True)
    parser.add_argument("--master-addr", required=True)
    parser.add_argument("--master-port", type=int, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--worker-module", required=True)
    parser.add_argument("--join-timeout", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--preflight", action="store_true")
    parser.add_argument("--peers")
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking torch apart takes a second, and there is nothing left to take care of
