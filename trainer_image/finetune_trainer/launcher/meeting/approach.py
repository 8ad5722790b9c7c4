"""The way to node 0: what may still come is waited for, what will not come is a fault that names a node."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from finetune_trainer.launcher.meeting.facts import LOOK_SECONDS, NodeFacts, look
from finetune_trainer.launcher.meeting.names import addresses
from finetune_trainer.launcher.meeting.patience import Patience, Trouble, trouble_of
from finetune_trainer.launcher.meeting.plan import Meeting, MeetingFault, MeetingOver
from finetune_trainer.launcher.meeting.wire import Garbled, Line, call

TRY_SECONDS: Final = 2.0
"""A try is short: the kernel's own answer to a dropped SYN is to back off for minutes."""
RETRY_SECONDS: Final = 0.1
TELL_SECONDS: Final = 30.0
_ASK_SECONDS: Final = 3.0
_ASKED: Final = 16
"""How many others are asked whether they reach node 0."""

T = TypeVar("T")


async def facts_of(meeting: Meeting) -> NodeFacts:
    """Return this node's facts; raises MeetingFault when its volume is silent."""
    try:
        return await look(meeting.facts)
    except TimeoutError as error:
        me = meeting.name_of(meeting.rank)
        text = f"the output volume of {me} did not say within {LOOK_SECONDS:g} s how much of it is free"
        raise MeetingFault(f"{text}; is it mounted, and does its server answer?", [meeting.rank]) from error


async def find_name(meeting: Meeting) -> list[str]:
    """Return the addresses of node 0; raises MeetingFault when the name servers are silent."""
    return await _patiently(meeting, lambda: addresses(meeting.address))


async def find_node_0(meeting: Meeting) -> Line:
    """Connect to node 0; raises MeetingFault for what will not pass, MeetingOver when the time is up."""
    return await _patiently(meeting, lambda: _connect(meeting))


async def _connect(meeting: Meeting) -> Line:
    failure: OSError = OSError("its name has no address")
    for address in await addresses(meeting.address):
        try:
            return await call(address, meeting.port, TRY_SECONDS, meeting.bind)
        except OSError as error:
            failure = error if str(error) else TimeoutError(f"no answer from {address} within {TRY_SECONDS:g} s")
    raise failure


async def _patiently(meeting: Meeting, attempt: Callable[[], Awaitable[T]]) -> T:
    patience, began, told = Patience(), time.monotonic(), time.monotonic()
    while True:
        try:
            return await attempt()
        except OSError as error:
            now, trouble = time.monotonic(), trouble_of(error)
            if patience.fault(trouble, now):
                raise await _fault(meeting, trouble, error) from error
            if now > began + meeting.timeout:
                raise MeetingOver(
                    f"{_place(meeting)} could not be reached within {meeting.timeout:g} s ({error}); "
                    "does its pod have a place to run, and does the job's Service exist?"
                ) from error
            if now > told + TELL_SECONDS:
                told = now
                print(f"preflight: waiting for {_place(meeting)} for {now - began:.0f} s: {error}", flush=True)
        await asyncio.sleep(RETRY_SECONDS)


def _place(meeting: Meeting) -> str:
    return f"node 0 at {meeting.address}:{meeting.port}"


async def _fault(meeting: Meeting, trouble: Trouble, error: OSError) -> MeetingFault:
    me = meeting.name_of(meeting.rank)
    if trouble is Trouble.NO_DNS:
        text = f"{me} cannot look up {meeting.address}: {error}. Does the cluster's DNS run, and may this pod ask it?"
        return MeetingFault(text, [meeting.rank])
    text = f"{me} cannot connect to {_place(meeting)}, though its name has an address: {error}"
    suspects, why = blamed(meeting, await _ask_the_others(meeting))
    return MeetingFault(f"{text}. {why}", suspects)


Answers = dict[int, bool | None]
"""What each of the others says: whether it has reached node 0; None: no answer, though it has an address."""


def blamed(meeting: Meeting, answers: Answers) -> tuple[list[int], str]:
    """Return who is to blame when this node does not reach node 0, and the sentence that says why."""
    me = meeting.rank
    reached = [rank for rank, met in answers.items() if met]
    if reached:
        return [me], f"Node {reached[0]} does reach it, so node {me} is suspected"
    if any(met is False for met in answers.values()):
        return [0], "Others do not reach it either, so node 0 is suspected"
    if answers:
        return [me], f"No other node can be reached from here either, so node {me} is suspected"
    return [0, me], f"One of the two is suspected; do firewalls and network policies let port {meeting.port} through?"


async def _ask_the_others(meeting: Meeting) -> Answers:
    if meeting.peers is None:
        return {}
    asked = [rank for rank in meeting.others if rank != 0][:_ASKED]
    answers = await asyncio.gather(*(_ask(meeting, meeting.peers.format(rank=rank)) for rank in asked))
    return {rank: answer for rank, found in zip(asked, answers, strict=True) for answer in found}


async def _ask(meeting: Meeting, host: str) -> list[bool | None]:
    """Return the answer of one node; nothing when it is not there, or has only just begun to try."""
    try:
        address = (await addresses(host))[0]
        line = await call(address, meeting.port, _ASK_SECONDS, meeting.bind)
        try:
            await line.send("ask", run=meeting.run_id)
            told = await line.receive(_ASK_SECONDS)
        finally:
            await line.close()
    except (OSError, Garbled) as error:
        unreachable = isinstance(error, OSError) and trouble_of(error) is Trouble.NO_ROUTE
        return [None] if unreachable else []
    if told.get("met") is True:
        return [True]
    tried = told.get("seconds")
    return [False] if isinstance(tried, int | float) and tried > TRY_SECONDS else []
