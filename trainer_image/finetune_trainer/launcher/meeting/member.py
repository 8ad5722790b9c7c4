"""The part of every node but node 0: it comes, tells its facts, tries its ways to the others, hears the verdict."""

import time
from typing import Final

from finetune_trainer.launcher.meeting.approach import TELL_SECONDS, facts_of, find_node_0
from finetune_trainer.launcher.meeting.coordinator import BEAT_SECONDS, REPORT_SECONDS
from finetune_trainer.launcher.meeting.door import Door
from finetune_trainer.launcher.meeting.facts import NodeFacts
from finetune_trainer.launcher.meeting.mesh import examine
from finetune_trainer.launcher.meeting.plan import Meeting, MeetingFault, MeetingOver
from finetune_trainer.launcher.meeting.verdict import Verdict
from finetune_trainer.launcher.meeting.wire import Garbled, Line, Message

_SILENCE_SECONDS: Final = 3 * BEAT_SECONDS


class MemberNode:
    """Takes part in the meeting of one attempt."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    async def join(self) -> Verdict:
        """Return node 0's verdict; raises MeetingFault when this node finds a fault itself, else MeetingOver."""
        looked, facts = time.monotonic(), await facts_of(self._meeting)
        self._door = Door(self._meeting)
        await self._door.open()
        try:
            line = await find_node_0(self._meeting)
            try:
                return await self._take_part(line, facts.after(time.monotonic() - looked))
            except Garbled as error:
                raise MeetingOver(f"what listens at {self._place} is not node 0 of this attempt: {error}") from error
            except TimeoutError as error:
                raise MeetingFault(f"{self._place} took the connection and fell silent", [0]) from error
            except ConnectionError as error:
                text = f"{self._place} left before the nodes had met ({error}); its own last words say why"
                raise MeetingOver(text) from error
            finally:
                await line.close()
        finally:
            await self._door.close()

    @property
    def _place(self) -> str:
        return f"node 0 at {self._meeting.address}:{self._meeting.port}"

    async def _take_part(self, line: Line, facts: NodeFacts) -> Verdict:
        meeting = self._meeting
        own = {"port": self._door.port, "facts": facts.to_json()}
        await line.send("hello", run=meeting.run_id, rank=meeting.rank, **own)
        answer = await line.receive(_SILENCE_SECONDS)
        if answer["word"] == "refused":
            raise MeetingOver(f"{self._place} refused this node: {answer.get('why')}")
        self._door.met = True
        message = await self._wait(line)
        if message["word"] == "roll":
            # Node 0 is known by the address that led here.
            roll = {**_roll(message), 0: (line.peer, meeting.port)}
            if set(roll) != set(range(meeting.nodes)):
                raise Garbled("not a roll of this attempt")
            await line.send("report", **await examine(meeting, self._door, roll))
            message = await line.receive(REPORT_SECONDS + BEAT_SECONDS)
        return _verdict(message)

    async def _wait(self, line: Line) -> Message:
        began = told = time.monotonic()
        while (message := await line.receive(_SILENCE_SECONDS))["word"] == "wait":
            now = time.monotonic()
            if now > told + TELL_SECONDS:
                told = now
                names = ", ".join(map(self._meeting.name_of, _missing(message)))
                print(f"preflight: node 0 has waited for {names} for {now - began:.0f} s", flush=True)
        return message


def _missing(message: Message) -> list[int]:
    told = message.get("missing")
    return [rank for rank in told if isinstance(rank, int)] if isinstance(told, list) else []


def _roll(message: Message) -> dict[int, tuple[str, int]]:
    try:
        return {int(rank): (str(address), int(port)) for rank, (address, port) in message["nodes"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Garbled("not a roll") from error


def _verdict(message: Message) -> Verdict:
    try:
        return Verdict.from_json(message)
    except ValueError as error:
        raise Garbled(str(error)) from error
