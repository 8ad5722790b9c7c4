"""The launcher's command line, and the command lines of the processes that it starts."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune_trainer.heartbeat import HeartPhase
from finetune_trainer.launcher.devices import available_cpus, visible_gpus
from finetune_trainer.launcher.parent_death import environment_of_child
from finetune_trainer.launcher.watchdog import parse_phase_timeouts
from finetune_trainer.run_spec import RunSpec

PHASE_TIMEOUTS = "FINETUNE_PHASE_TIMEOUTS"
"""May set `--phase-timeouts` for all runs of an image."""

PrepareMode = Literal["inline", "wait", "done"]


@dataclass(frozen=True)
class NodeLaunch:
    """One node's share of one attempt, as told on the launcher's command line."""

    config: Path
    output: Path
    run_dir: Path
    cache: Path
    nnodes: int
    node_rank: int
    nproc_per_node: int
    master_addr: str
    master_port: int
    attempt: int
    job_uid: str
    resume_from: str | None
    code: Path | None
    prepare: PrepareMode
    grace: float
    progress_port: int | None
    termination_log: Path | None
    join_timeout: float
    step_timeout: float | None
    phase_timeouts: Mapping[HeartPhase, float]
    preflight: bool | None
    """None: with more than one node."""
    peers: str | None
    worker_module: str
    prepare_module: str
    agent_module: str

    @property
    def prepares(self) -> bool:
        """Whether this node prepares the data; the others wait for node 0."""
        return self.prepare == "inline" and self.node_rank == 0

    @property
    def wants_preflight(self) -> bool:
        """Whether the nodes meet and are looked at before the ranks start."""
        return self.nnodes > 1 if self.preflight is None else self.preflight

    @property
    def ranks(self) -> range:
        """The global ranks that run on this node."""
        first = self.node_rank * self.nproc_per_node
        return range(first, first + self.nproc_per_node)

    def spec(self) -> RunSpec:
        """What the ranks are told."""
        return RunSpec(
            config=self.config,
            output=self.output,
            run_dir=self.run_dir,
            attempt=self.attempt,
            job_uid=self.job_uid,
            resume_from=self.resume_from,
            code_dir=self.code,
            preflight=self.wants_preflight,
            progress_port=self.progress_port,
            cache=self.cache,
        )


def parse_arguments(argv: Sequence[str] | None = None) -> NodeLaunch:
    """Read the launcher's command line; a mistake in it ends the process with code 2."""
    return NodeLaunch(**vars(_parser().parse_args(argv)))


def prepare_command(launch: NodeLaunch) -> list[str]:
    """How the preparation is started."""
    command = [sys.executable, "-u", "-m", launch.prepare_module, "--config", str(launch.config)]
    command += ["--cache", str(launch.cache), "--run-dir", str(launch.run_dir)]
    return command + (["--code", str(launch.code)] if launch.code else [])


def agent_command(launch: NodeLaunch) -> list[str]:
    """How the process around torchrun is started."""
    return [
        *(sys.executable, "-u", "-m", launch.agent_module, "--run-dir", str(launch.run_dir)),
        *("--nnodes", str(launch.nnodes), "--node-rank", str(launch.node_rank)),
        *("--nproc-per-node", str(launch.nproc_per_node)),
        # A node alone needs no name server to find itself.
        *("--master-addr", launch.master_addr if launch.nnodes > 1 else "127.0.0.1"),
        *("--master-port", str(launch.master_port)),
        *("--run-id", f"{launch.job_uid}-{launch.attempt}", "--worker-module", launch.worker_module),
        *("--join-timeout", str(launch.join_timeout), "--output", str(launch.output)),
        *(("--preflight",) if launch.wants_preflight else ()),
        *(("--peers", launch.peers) if launch.peers else ()),
    ]


# glibc maps every large block anew and gives it back when it is freed, so each step pays a page fault for every page of
# every gradient: a fifth of the CPU-seconds of a 124M model. Kept on the heap, blocks are used again.
_KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
# Threads of one operation wait for each other by spinning, for milliseconds. Where something else holds a core, the one
# that is waited for does not run, and a step takes up to ten times as long; they had better sleep after microseconds.
_SLEEP_SOON = {"GOMP_SPINCOUNT": "10000"}
CPU_SETTINGS = {**_KEEP_FREED_MEMORY, **_SLEEP_SOON}


def agent_environment(launch: NodeLaunch, gpus: int | None = None) -> dict[str, str]:
    """The ranks share the CPUs of their node evenly, and compute on them sparingly, unless the user decided otherwise.

    `gpus` None counts those of this machine.
    """
    threads = max(1, available_cpus() // launch.nproc_per_node)
    on_cpu = not (visible_gpus() if gpus is None else gpus)
    return {"OMP_NUM_THREADS": str(threads), **(CPU_SETTINGS if on_cpu else {}), **environment_of_child()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m finetune_trainer.launcher", description="Run one node's share of one attempt."
    )
    add = parser.add_argument
    add("--config", type=Path, required=True, help="the resolved training configuration")
    add("--output", type=Path, required=True, help="where the run leaves its results; shared by all nodes")
    add("--run-dir", type=Path, required=True, help="a directory private to this node and attempt")
    add("--cache", type=Path, required=True, help="where prepared data lies; shared by all nodes")
    add("--nnodes", type=int, default=1)
    add("--node-rank", type=int, default=0)
    add("--nproc-per-node", type=int, default=1)
    add("--master-addr", default="127.0.0.1", help="where node 0 listens")
    add("--master-port", type=int, required=True)
    add("--attempt", type=int, default=0)
    add("--job-uid", required=True)
    add("--resume-from", help="the uid of another job whose checkpoints may be continued")
    add("--code", type=Path, help="the folder of the user's modules")
    add(
        "--prepare",
        choices=("inline", "wait", "done"),
        default="inline",
        help="node 0 prepares; somebody else does in this attempt; it has been done before",
    )
    add("--grace", type=float, default=30.0, help="seconds between a request to leave and the kill")
    add("--progress-port", type=int, help="serve /progress and /metrics on rank 0")
    add("--termination-log", type=Path, help="write the termination message here too")
    # Nodes may be many minutes apart when one of them has to pull the image first.
    add("--join-timeout", type=float, default=1800.0, help="seconds for all nodes to find each other")
    add(
        "--preflight",
        action=argparse.BooleanOptionalAction,
        help="look at the nodes and their connections first; default: with more than one node",
    )
    add("--peers", metavar="NAMES", help="names of all nodes, with {rank} for the number, each with a port of its own")
    add("--step-timeout", type=_positive, help="seconds a step may take; otherwise derived from the steps measured")
    add(
        "--phase-timeouts",
        type=_phase_timeouts,
        default=os.environ.get(PHASE_TIMEOUTS, ""),
        help="seconds without progress in other phases, for slow volumes: load=7200,save=inf",
    )
    add("--worker-module", default="finetune_trainer.worker", help=argparse.SUPPRESS)
    add("--prepare-module", default="finetune_trainer.prepare", help=argparse.SUPPRESS)
    add("--agent-module", default="finetune_trainer.launcher.agent", help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return seconds


def _phase_timeouts(text: str) -> Mapping[HeartPhase, float]:
    try:
        return parse_phase_timeouts(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
