"""What is looked at before the ranks of several nodes start, and what is told about it."""

import argparse
from collections.abc import Callable

from finetune_api.errors import PreflightFailed
from finetune_trainer.launcher.meeting import Meeting, Verdict, meet
from finetune_trainer.launcher.meeting.facts import NodeFacts, checkpoints_of, gather
from finetune_trainer.run_dir import RunDir


def preflight(options: argparse.Namespace) -> None:
    """Return when the nodes of this attempt have met and found nothing wrong.

    Raises PreflightFailed for a fault, MeetingOver when the nodes could not meet for a reason that blames no machine.
    """
    verdict = meet(meeting_of(options, lambda: facts_of(options)))
    run_dir = RunDir(options.run_dir)
    run_dir.write_preflight(verdict.to_json())
    tell(verdict, run_dir)
    if verdict.fault is not None:
        raise PreflightFailed(verdict.fault, suspects=verdict.suspects)


def facts_of(options: argparse.Namespace) -> NodeFacts:
    """Return what this node tells of itself; node 0 alone looks at the checkpoints, which all nodes share."""
    checkpoints = checkpoints_of(options.run_dir / "spec.json", options.output)
    return gather(options.output, options.nproc_per_node, checkpoints, measure=options.node_rank == 0)


def meeting_of(options: argparse.Namespace, facts: Callable[[], NodeFacts]) -> Meeting:
    """Return the meeting of the attempt that the agent's command line describes."""
    return Meeting(
        run_id=options.run_id,
        rank=options.node_rank,
        nodes=options.nnodes,
        address=options.master_addr,
        port=options.master_port,
        timeout=options.join_timeout,
        facts=facts,
        peers=options.peers,
    )


def tell(verdict: Verdict, run_dir: RunDir) -> None:
    """Say in this node's log what was seen of each node."""
    for line in verdict.nodes:
        print(f"preflight: {line}", flush=True)
    for warning in verdict.warnings:
        print(f"preflight: warning: {warning}", flush=True)
        run_dir.message(f"preflight: {warning}", level="warning")
