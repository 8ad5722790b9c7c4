"""Meetings of several nodes in one process, each with an address of its own on the loopback interface."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from finetune_trainer.launcher.meeting import Meeting, MeetingFault, MeetingOver, Verdict
from finetune_trainer.launcher.meeting.coordinator import Coordinator
from finetune_trainer.launcher.meeting.facts import NodeFacts
from finetune_trainer.launcher.meeting.member import MemberNode
from support.ports import free_port

Ending = Verdict | MeetingFault | MeetingOver


def facts(rank: int, **more: Any) -> NodeFacts:
    """A node without a blemish."""
    return NodeFacts(**{"host": f"job-0-{rank}", "time": time.time(), "shared_memory": 1 << 30, **more})


def meeting(rank: int = 0, nodes: int = 2, *, port: int | None = None, **more: Any) -> Meeting:
    """A meeting whose node `rank` is 127.0.0.(rank + 1)."""
    plain = Meeting(
        run_id="uid-0",
        rank=rank,
        nodes=nodes,
        address="127.0.0.1",
        port=port or free_port(),
        timeout=120.0,
        facts=lambda: facts(rank),
        bind=f"127.0.0.{rank + 1}",
    )
    return replace(plain, **more)


async def take_part(one: Meeting) -> Ending:
    """How the meeting ends for one node."""
    try:
        return await (Coordinator(one).lead() if one.rank == 0 else MemberNode(one).join())
    except (MeetingFault, MeetingOver) as end:
        return end


async def all_meet(nodes: int, changes: Mapping[int, Mapping[str, Any]] | None = None, **more: Any) -> list[Ending]:
    """How the meeting ends for each node; `changes` are what is special about some."""
    port = free_port()
    plans = [meeting(rank, nodes, **{"port": port, **more, **(changes or {}).get(rank, {})}) for rank in range(nodes)]
    return list(await asyncio.gather(*map(take_part, plans)))
