"""The launchers of an attempt meet before torchrun starts, and look for what would break the attempt later.

The order of a preflight: `launcher.preflight`, in each node's agent, has the nodes meet here and tells what they found;
then torchrun starts the ranks, which do their `train.first_contact`.
"""

import asyncio

from finetune_trainer.launcher.meeting.coordinator import Coordinator
from finetune_trainer.launcher.meeting.member import MemberNode
from finetune_trainer.launcher.meeting.plan import Meeting, MeetingFault, MeetingOver
from finetune_trainer.launcher.meeting.verdict import Verdict

__all__ = ["Meeting", "MeetingFault", "MeetingOver", "Verdict", "meet"]


def meet(meeting: Meeting) -> Verdict:
    """Meet the other nodes and return the verdict; a fault that only this node can see is one too.

    Raises MeetingOver when the meeting did not take place.
    """
    try:
        return asyncio.run(_take_part(meeting))
    except MeetingFault as fault:
        return Verdict(str(fault), fault.suspects)


async def _take_part(meeting: Meeting) -> Verdict:
    if meeting.rank == 0:
        return await Coordinator(meeting).lead()
    return await MemberNode(meeting).join()
