"""Who meets, and where."""

from collections.abc import Callable
from dataclasses import dataclass

from finetune_trainer.launcher.meeting.facts import NodeFacts


@dataclass(frozen=True)
class Meeting:
    """The meeting of the launchers of one attempt, as one of them sees it."""

    run_id: str
    """Of the job and the attempt: a pod left over from another one must not take part."""
    rank: int
    """Of this node."""
    nodes: int
    address: str
    """Name or IP address of node 0."""
    port: int
    """Where node 0 listens, and the others too where each has an address of its own."""
    timeout: float
    """Seconds for all nodes to come."""
    facts: Callable[[], NodeFacts]
    peers: str | None = None
    """Names of all nodes, with `{rank}` for the number; None: only node 0 is known by name."""
    bind: str | None = None
    """Address at which to listen and from which to call; None: any of this machine."""

    @property
    def others(self) -> list[int]:
        """The numbers of the other nodes."""
        return [rank for rank in range(self.nodes) if rank != self.rank]

    def name_of(self, rank: int) -> str:
        """Return how a node that has not come yet is called in a sentence."""
        if self.peers is None:
            return f"node {rank}"
        pod, _, service = self.peers.format(rank=rank).partition(".")
        return f"node {rank} ({pod})" if not pod.isdigit() else f"node {rank} ({pod}.{service})"


class MeetingFault(Exception):
    """Something that will not pass by waiting; `suspects` are the nodes that the next attempt had better avoid."""

    def __init__(self, message: str, suspects: list[int]) -> None:
        super().__init__(message)
        self.suspects = suspects


class MeetingOver(Exception):
    """The meeting ended without a verdict, because somebody left or never came; that tells nothing about machines."""
