"""Node 0's part: it waits for all nodes, has them reach each other, judges, and tells everybody the verdict."""

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from finetune_trainer.launcher.meeting.approach import facts_of, find_name
from finetune_trainer.launcher.meeting.door import Door
from finetune_trainer.launcher.meeting.facts import NodeFacts
from finetune_trainer.launcher.meeting.mesh import Roll, examine
from finetune_trainer.launcher.meeting.plan import Meeting, MeetingFault, MeetingOver
from finetune_trainer.launcher.meeting.verdict import Account, Verdict, judge
from finetune_trainer.launcher.meeting.wire import Garbled, Line, Message

BEAT_SECONDS: Final = 5.0
"""How often those who have come hear that others are still missing."""
TELL_SECONDS: Final = 30.0
REPORT_SECONDS: Final = 20.0
"""More than `examine` can take."""
_GOODBYE_SECONDS: Final = 1.0
_RANK: Final = re.compile(r"[0-9]{1,9}")


class Member:
    """A node that has come."""

    def __init__(self, line: Line, facts: NodeFacts, port: int) -> None:
        self.line = line
        self.facts = facts
        self.port = port
        self.skew = facts.time - time.time()
        self.gone = asyncio.Event()
        self.left = asyncio.create_task(line.wait_for_end())
        """Done when the node has hung up while others were still missing; it has nothing to say until all are here."""

    async def watch_no_more(self) -> None:
        """Stop reading, for its report is due now."""
        self.left.cancel()
        await asyncio.wait([self.left])

    async def hung_up(self, seconds: float) -> None:
        """Wait until it has hung up, or has not for so long."""
        await self.watch_no_more()
        await self.line.wait_for_end(seconds)


class Coordinator:
    """Leads the meeting of one attempt."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self._facts: NodeFacts
        self._members: dict[int, Member] = {}
        self._news = asyncio.Event()
        self._door = Door(meeting, self._welcome)

    async def lead(self) -> Verdict:
        """Return the verdict that every node gets; raises MeetingOver when there is none."""
        await self._door.open()
        try:
            try:
                await self._meet()
                verdict = await self._examine()
            except MeetingFault as fault:
                verdict = Verdict(str(fault), fault.suspects)
            await self._everywhere("verdict", **verdict.to_json())
            await self._goodbye()
            return verdict
        finally:
            for member in self._members.values():
                member.left.cancel()
                member.gone.set()
            await self._door.close()

    async def _welcome(self, line: Line, message: Message) -> None:
        """Keep the line of a node of this attempt until the meeting is over."""
        rank, port = message.get("rank"), message.get("port")
        if rank not in self._meeting.others or not isinstance(port, int) or not 0 < port < 65536:
            return await line.send("refused", why=f"no node {rank!r} is expected at port {port!r}")
        try:
            facts = NodeFacts.from_json(message.get("facts"))
        except ValueError as error:
            raise Garbled(str(error)) from error
        if rank in self._members:
            return await line.send("refused", why=f"node {rank} is here already")
        await line.send("welcome")
        self._members[rank] = member = Member(line, facts, port)
        member.left.add_done_callback(lambda _: self._news.set())
        self._news.set()
        await member.gone.wait()

    async def _meet(self) -> None:
        """Wait for all; meanwhile look at this node, and find the name under which torchrun's store will be reached."""
        ready = asyncio.gather(facts_of(self._meeting), find_name(self._meeting))
        ready.add_done_callback(self._has_looked)
        try:
            await self._wait_for_all(ready)
            self._facts, _ = await ready
        finally:
            ready.cancel()
        self._require_that_all_stay()
        for member in self._members.values():
            await member.watch_no_more()

    def _has_looked(self, ready: "asyncio.Future[Any]") -> None:
        """What it met is of no interest once the meeting is over for another reason."""
        if not ready.cancelled():
            ready.exception()
        self._news.set()

    def _require_that_all_stay(self) -> None:
        left = [rank for rank, member in self._members.items() if member.left.done()]
        if left:
            names = ", ".join(map(self._meeting.name_of, left))
            raise MeetingOver(f"{names} left before all nodes had come; its own last words say why")

    async def _wait_for_all(self, ready: "asyncio.Future[Any]") -> None:
        began = told = time.monotonic()
        while (missing := [rank for rank in self._meeting.others if rank not in self._members]) or not ready.done():
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(BEAT_SECONDS, self._meeting.timeout))
            if ready.done():
                ready.result()
            self._require_that_all_stay()
            await self._everywhere("wait", missing=missing)
            now = time.monotonic()
            names = ", ".join(map(self._meeting.name_of, missing))
            if missing and now > began + self._meeting.timeout:
                raise MeetingOver(
                    f"{names} did not come within {self._meeting.timeout:g} s; does each have a place to run?"
                )
            if missing and now > told + TELL_SECONDS:
                told = now
                print(f"preflight: waiting for {names} for {now - began:.0f} s", flush=True)

    async def _examine(self) -> Verdict:
        roll = self._roll()
        await self._everywhere("roll", nodes={str(rank): place for rank, place in roll.items()})
        own, reports = await asyncio.gather(examine(self._meeting, self._door, roll), self._reports())
        accounts = {0: _account(self._facts, 0.0, own)}
        for rank, member in self._members.items():
            accounts[rank] = _account(member.facts, member.skew, reports[rank])
        return judge(accounts, self._facts.checkpoint)

    def _roll(self) -> Roll:
        return {rank: (member.line.peer, member.port) for rank, member in self._members.items()}

    async def _reports(self) -> dict[int, Message | None]:
        ranks = list(self._members)
        found = await asyncio.gather(*(_report(self._members[rank].line) for rank in ranks))
        return dict(zip(ranks, found, strict=True))

    async def _everywhere(self, word: str, **content: object) -> None:
        async def tell(line: Line) -> None:
            with suppress(OSError):  # who does not listen is missed when its report is due
                await asyncio.wait_for(line.send(word, **content), BEAT_SECONDS)

        await asyncio.gather(*(tell(member.line) for member in self._members.values()))

    async def _goodbye(self) -> None:
        """Let the others hang up first: the port of who hangs up first stays taken for a minute."""
        await asyncio.gather(*(member.hung_up(_GOODBYE_SECONDS) for member in self._members.values()))


async def _report(line: Line) -> Message | None:
    try:
        message = await line.receive(REPORT_SECONDS)
    except (OSError, Garbled):
        return None
    return message if message["word"] == "report" else None


def _account(facts: NodeFacts, skew: float, report: Message | None) -> Account:
    if report is None:
        return Account(facts, skew, reported=False)
    return Account(facts, skew, True, _texts(report.get("unreached")), _numbers(report.get("rates")))


def _texts(told: object) -> dict[int, str]:
    entries = told.items() if isinstance(told, Mapping) else ()
    return {int(rank): str(why)[:300] for rank, why in entries if _RANK.fullmatch(str(rank))}


def _numbers(told: object) -> list[float]:
    values: list[Any] = told if isinstance(told, list) else []
    return [float(value) for value in values[:2] if isinstance(value, int | float) and 0 < value < 1e15]
