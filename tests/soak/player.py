"""Plays the story of one job, and holds what the operator makes of it against what is true."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from soak.acts import Stage
from soak.ground import Ground
from soak.happenings import Body
from soak.invariants import Breach
from soak.scene import Job, Pod
from soak.script import Act, Ending, Kind, Story
from soak.verdicts import CANCELLED, FAILURE, LOST, SUSPENDED, TAKEN, End, Ledger, Ruling, ruling_of

PATIENCE: Final = 180.0
"""Seconds for anything that has to come."""
_TURN: Final = 900.0
"""Seconds to wait for a node: its faults stand in a row, and each waits for the acts on it, which have their own."""
_OPEN: Final = frozenset({Kind.RESTART_BUDGET, Kind.RESIZE, Kind.RECREATE_JOB, Kind.DELETE_JOB})
"""Acts that end no attempt by themselves."""
_RESIZED: Final = Ruling(CANCELLED, frozenset({"Resized", "Unplaceable"}))
_ECHOED: Final = Ruling(FAILURE, frozenset({"PeerLost"}))
_SUSPENDED: Final = Ruling(SUSPENDED)
_CRASHED: Final = Ruling(FAILURE, frozenset({"Crashed"}))
_MISTAKE: Final = End("Failed", frozenset({"ConfigInvalid"}))
_LATE: Final = End("Failed", frozenset({"DeadlineExceeded"}))


class Untrue(Exception):
    """The operator does not tell what happened."""


@dataclass
class Player:
    """One story in play."""

    story: Story
    stage: Stage
    ground: Ground
    uid: str = ""
    ledger: Ledger = field(init=False)
    rulings: dict[int, tuple[Ruling, Act]] = field(default_factory=dict)
    """What must be told of the attempts to which something was done."""
    settled: int = -1
    """The newest attempt whose end was told and is right."""
    put_off: set[int] = field(default_factory=set)
    """Attempts told to have crashed in a suspension, so that the one after them must wait for its end."""
    prepared: set[str] = field(default_factory=set)
    """Uids of pods that prepare to which something was done."""
    resized: bool = False
    deleted: bool = False
    steps: int = 0
    """Of the newest checkpoint."""
    _acts: list[Act] = field(init=False)
    _preparing: list[Act] = field(init=False)

    def __post_init__(self) -> None:
        self._acts, self._preparing = list(self.story.acts), list(self.story.preparing)
        self.ledger = Ledger(self.story.max_restarts)

    @property
    def job(self) -> Job:
        """As the store has it."""
        return self.ground.scene.jobs[self.uid]

    async def play(self) -> None:
        """Play to the end; raises Untrue or Overdue."""
        await self.create()
        while not self.deleted:
            await self._until(self._has_turn, "the next turn")
            for attempt in self._unsettled():
                self._settle(attempt)
            if self.job.over is not None:
                return self._check_end()
            if self._is_decided():
                await self._until(lambda: self.job.over is not None, f"the end ({self.ledger.end})")
            elif (pod := self._preparing_pod()) is not None:
                await self._prepare(pod)
            elif (number := self._ready_attempt()) is not None:
                await self._act(number)

    async def create(self) -> None:
        """Create the job, begin to keep its books, and have it go on if it was born suspended."""
        known = set(self.ground.scene.jobs)
        await self.stage.create(self.story)

        def found() -> bool:
            job = self.ground.scene.job_named(self.story.name)
            self.uid = job.uid if job is not None and not job.gone and job.uid not in known else ""
            return bool(self.uid)

        await self._until(found, "the job")
        self.ledger, self.settled, self.rulings, self.steps = Ledger(self.story.max_restarts), -1, {}, 0
        self.put_off, self.resized = set(), False
        if self.story.born_suspended:
            await self._until(lambda: self.job.holds("Suspended") or self.job.over is not None, "suspension")
            await self.stage.suspend(self.story.name, False)

    # Whose turn it is

    def _has_turn(self) -> bool:
        if self.job.gone:
            raise Untrue("the job is gone, and nobody deleted it")
        ready = self._preparing_pod() is not None or self._ready_attempt() is not None
        return self.job.over is not None or ready or any(True for _ in self._unsettled())

    def _is_decided(self) -> bool:
        return self.ledger.end is not None

    def _unsettled(self) -> Iterator[Body]:
        return (one for one in self.job.attempts if one["number"] > self.settled and one.get("outcome"))

    def _preparing_pod(self) -> Pod | None:
        found = self.ground.scene.pods_of(self.uid, None)
        return next((pod for pod in found if _trains(pod) and pod.uid not in self.prepared), None)

    def _ready_attempt(self) -> int | None:
        newest = self.job.newest
        if newest is None or newest.get("outcome") or newest.get("reason") or not newest.get("runningTime"):
            return None
        number = int(newest["number"])
        pods = self.ground.scene.pods_of(self.uid, number)
        whole = len(pods) == newest["nodes"] and all(map(_trains, pods))
        return number if whole and number not in self.rulings and not self.job.deleting else None

    # Turns

    async def _act(self, number: int) -> None:
        act = self._acts[0] if self._acts else Act(Kind.SUCCEED)
        await asyncio.sleep(act.after)
        nodes = {str(pod.node) for pod in self.ground.scene.pods_of(self.uid, number)}

        def due() -> bool:
            return self._ready_attempt() == number

        async with self.ground.acting(nodes, due, _TURN):
            if not due():
                return  # it was lost meanwhile; what was to happen to it happens to the next one
            self._acts = self._acts[1:]
            if act.kind not in _OPEN:
                self.rulings[number] = ruling_of(act), act
            self.steps += 10
            await self.stage.play(act, self, number)
            if act.kind not in _OPEN:
                await self._until(lambda: self._is_told(number), f"the end of attempt {number} by: {act.kind}")

    async def _prepare(self, pod: Pod) -> None:
        act = self._preparing[0] if self._preparing else Act(Kind.SUCCEED)
        await asyncio.sleep(act.after)

        def due() -> bool:
            return _trains(pod) and self._preparing_pod() is pod

        async with self.ground.acting({str(pod.node)}, due, _TURN):
            if not due():
                return
            self._preparing = self._preparing[1:]
            self.prepared.add(pod.uid)
            await self.stage.prepare(act, pod)
            self.ledger.preparing_failed(act)
            await self._until(lambda: self._is_prepared(pod), f"what follows for {pod.name} by: {act.kind}")

    def _is_prepared(self, pod: Pod) -> bool:
        replaced = any(one.uid != pod.uid for one in self.ground.scene.pods_of(self.uid, None))
        return replaced or self.job.over is not None or self.job.holds("DatasetPrepared")

    def _is_told(self, number: int) -> bool:
        return self.job.gone or self.job.over is not None or any(one["number"] >= number for one in self._unsettled())

    # Books

    def _settle(self, attempt: Body) -> None:
        number, outcome, reason = int(attempt["number"]), str(attempt["outcome"]), str(attempt.get("reason"))
        allowed, checkpoint = self._allowed(number)
        if number - 1 in self.put_off and not attempt.get("runningTime"):
            allowed = [_SUSPENDED]
        if not any(one.fits(outcome, reason) for one in allowed):
            raise Untrue(f"attempt {number} is told to have ended as {outcome}/{reason}; true is {_or(allowed)}")
        if self._is_suspended(number) and outcome == FAILURE:
            self.put_off.add(number)
        self.ledger.attempt_ended(outcome, reason, checkpoint=checkpoint)
        self.settled, self.resized = number, self.resized and outcome != CANCELLED

    def _allowed(self, number: int) -> tuple[list[Ruling], bool]:
        place, scene = (self.uid, number), self.ground.scene
        # An operator that was away comes to the new number of nodes late, and perhaps before what was done since.
        resized = [_RESIZED] if self.resized else []
        if number in self.rulings:
            ruling, act = self.rulings[number]
            late = [_ECHOED] if place in self.stage.late_causes else []
            # Whether the operator read of it before a peer was asked to leave is up to chance: it hears of one pod at
            # a time, in any order. But one that was asked itself did not end because of anything else.
            crashed = [_CRASHED] if self._is_suspended(number) and place in scene.died else []
            return [ruling, *late, *crashed, *resized], act.checkpoint
        allowed = [LOST] if place in scene.lost else []
        allowed += [TAKEN] if place in scene.swept else []
        allowed += resized
        if self.story.ending is not Ending.RUN:
            allowed.append(Ruling(CANCELLED, frozenset({"DeadlineExceeded"})))
        return allowed, True

    def _is_suspended(self, number: int) -> bool:
        _, act = self.rulings.get(number, (None, None))
        return act is not None and act.kind is Kind.SUSPEND_CRASH

    def _check_end(self) -> None:
        wanted = {Ending.CONFIG_MISTAKE: _MISTAKE, Ending.UNPLACEABLE: _LATE}.get(self.story.ending)
        wanted = wanted or self.ledger.end or self.ledger.may_end
        over = str(self.job.over)
        reason = str(self.job.condition(over).get("reason"))
        if wanted is None or over != wanted.condition or reason not in wanted.reasons:
            raise Untrue(f"the job is told to be {over}/{reason}; true is {wanted}")
        told = self.job.status.get("restarts", 0)
        if told != self.ledger.restarts:
            raise Untrue(f"{told} restarts are told; true are {self.ledger.restarts}")
        self._check_failure(wanted)

    def _check_failure(self, end: End) -> None:
        """Of a failure that was told with its rank and exit code, both are reported."""
        _, act = self.rulings.get(self.settled, (None, None))
        failure = self.job.status.get("failure") or {}
        if end.condition == "Complete" and failure:
            raise Untrue(f"a job that is complete tells of a failure: {failure}")
        if act is None or act.kind not in (Kind.USER_TOLD, Kind.USER_SILENT) or end.condition != "Failed":
            return
        if failure.get("exitCode") != act.code:
            raise Untrue(f"exit code {failure.get('exitCode')} is told; true is {act.code}")

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        await self.ground.until(holds, f"{self.story.name}: {what}", PATIENCE)

    def breach(self, error: Exception) -> Breach:
        """Return an error of this story as a breach."""
        rule = "the truth is told" if isinstance(error, Untrue) else "everything ends in time"
        return Breach(rule, self.story.name, str(error), self.ground.scene.revision)


def _trains(pod: Pod) -> bool:
    return pod.phase == "Running" and not pod.leaving and not pod.lost


def _or(rulings: list[Ruling]) -> str:
    return " or ".join(f"{one.outcome}/{'|'.join(sorted(one.reasons)) or 'any'}" for one in rulings) or "that it runs"
