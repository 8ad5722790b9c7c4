"""The one description of how an attempt is launched, for `finetune run` and for the cluster alike.

A TorchX `AppDef` with one role, whose replicas are the nodes; each runs the launcher, which differs between nodes
only in its rank. TorchX's local scheduler runs it as it is; the operator renders pods from the same role.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torchx.specs import AppDef, Resource, Role, macros

ROLE = "trainer"
NODE_RANK = macros.replica_id
"""Stands for the node's rank in every string of a plan; TorchX or the operator puts the number in."""


@dataclass(frozen=True)
class LaunchPlan:
    """All that is known about one attempt before it starts; paths are those that the nodes see."""

    name: str
    config: str
    """The resolved training configuration."""
    output: str
    """Where results go; shared by all nodes."""
    run_dir: str
    """Private to a node and an attempt; may contain `NODE_RANK`."""
    cache: str
    """Where prepared data lies; shared by all nodes."""
    master_addr: str
    master_port: int
    job_uid: str
    nodes: int = 1
    processes_per_node: int = 1
    attempt: int = 0
    resume_from: str | None = None
    code: str | None = None
    prepare: Literal["inline", "wait", "done"] = "inline"
    grace: float = 30.0
    """Seconds between a request to leave and the kill."""
    preflight: bool | None = None
    """Whether nodes and network are looked at before training; None: with more than one node."""
    peers: str | None = None
    """Names of all nodes, with `{rank}` for the number, where each has an address of its own."""
    step_timeout: float | None = None
    """Seconds that a step may take; None: derived from the steps measured."""
    progress_port: int | None = None
    termination_log: str | None = None
    image: str = ""
    python: str = sys.executable
    resource: Resource = field(default_factory=lambda: Resource(cpu=-1, gpu=0, memMB=-1))
    """Of one node."""
    environment: Mapping[str, str] = field(default_factory=dict)
    extra_arguments: Sequence[str] = ()


def build_app(plan: LaunchPlan) -> AppDef:
    """Describe the attempt: one role, one replica per node, each told its own rank."""
    role = Role(
        name=ROLE,
        image=plan.image,
        entrypoint=plan.python,
        args=["-m", "finetune_trainer.launcher", *launcher_arguments(plan)],
        # Without the working directory on its path, a user's `random.py` cannot stand in for Python's.
        env={"PYTHONSAFEPATH": "1", **plan.environment},
        num_replicas=plan.nodes,
        resource=plan.resource,
    )
    return AppDef(name=plan.name, roles=[role])


def launcher_arguments(plan: LaunchPlan) -> list[str]:
    """The launcher's command line, the same for every node but for the macros in it."""
    required: dict[str, object] = {
        "config": plan.config,
        "output": plan.output,
        "run-dir": plan.run_dir,
        "cache": plan.cache,
        "nnodes": plan.nodes,
        "node-rank": NODE_RANK,
        "nproc-per-node": plan.processes_per_node,
        "master-addr": plan.master_addr,
        "master-port": plan.master_port,
        "attempt": plan.attempt,
        "job-uid": plan.job_uid,
        "prepare": plan.prepare,
        "grace": f"{plan.grace:g}",
    }
    optional = {
        "resume-from": plan.resume_from,
        "code": plan.code,
        "peers": plan.peers,
        "step-timeout": plan.step_timeout,
        "progress-port": plan.progress_port,
        "termination-log": plan.termination_log,
    }
    given = required | {name: value for name, value in optional.items() if value is not None}
    flags = {None: [], True: ["--preflight"], False: ["--no-preflight"]}[plan.preflight]
    pairs = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    return [*pairs, *flags, *plan.extra_arguments]
