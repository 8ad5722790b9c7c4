"""The hang watchdog: reads the heartbeats of this node's ranks, and asks for their stacks when one falls silent."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from finetune_api.causes import Cause, Kind
from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.heartbeat import Beat, HeartPhase, read_beat
from finetune_trainer.launcher.processes import Watched
from finetune_trainer.launcher.watchdog import Answer, Bound, Silent, behind, sentence, silent_rank
from finetune_trainer.run_dir import RunDir
from finetune_trainer.stack_dump import PARTIAL, STACK_SIGNAL, main_stack, waits_for_peers

REASON = "Hang"

_LOOK_SECONDS = 0.25
_ASLEEP_SECONDS = 5.0
"""A launcher that did not run itself for so long says nothing about its ranks: the machine slept."""
_ANSWER_SECONDS = 1.0
"""How long ranks have to write their stacks; one that runs needs a millisecond."""
_SETTLING_SECONDS = 0.2
"""At least so long, so that no stack is read half written."""
_COURTESY_SECONDS = 3.0
"""A node whose ranks only wait lets the one that they wait for speak first: its word ends the ranks of all others."""


@dataclass(frozen=True)
class Hang:
    """A run that hangs, as this node sees it: the rank that holds it up, and what is said about it."""

    message: TerminationMessage
    at_ns: int
    beats: int
    frozen: bool

    @property
    def cause(self) -> Cause:
        """How it ranks among the ends of the ranks: above the broken collectives and the kills that it ends in."""
        return Cause(Kind.SIGNAL, self.at_ns, self.message)

    def fact(self) -> dict[str, object]:
        """What lets hangs of several nodes be compared: the rank that did not answer, else the fewest points."""
        return {"beats": self.beats, "frozen": self.frozen}


class HangWatch:
    """Looks at the ranks of one node again and again until one has been silent for too long."""

    def __init__(
        self, run_dir: RunDir, bounds: Mapping[HeartPhase, Bound], clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._dir = run_dir
        self._bounds = bounds
        self._clock = clock
        self._looked_ns = self._awake_since_ns = clock()
        self._silent: Silent | None = None
        self._asked: dict[int, Beat] = {}
        self._asked_ns = 0

    def look(self, ranks: Iterable[tuple[int, Watched]]) -> Hang | None:
        """Return the hang once it is certain; costs nothing but a clock between two looks."""
        now_ns = self._clock()
        if self._silent is not None:
            return self._judged(self._silent, now_ns)
        passed = (now_ns - self._looked_ns) / 1e9
        if passed < _LOOK_SECONDS:
            return None
        if passed > _ASLEEP_SECONDS:
            self._awake_since_ns = now_ns
        self._looked_ns = now_ns
        alive = {rank: process for rank, process in ranks if process.alive()}
        beats = self._beats(alive)
        self._silent = silent_rank(beats, self._bounds, now_ns, self._awake_since_ns)
        if self._silent is not None:
            self._ask(alive, beats, now_ns)
        return None

    @property
    def suspects(self) -> bool:
        """Whether ranks have been asked for their stacks, and the answers are awaited."""
        return self._silent is not None

    def _beats(self, ranks: Iterable[int]) -> dict[int, Beat]:
        found = {rank: read_beat(self._dir.heartbeat_file(rank)) for rank in ranks}
        return {rank: beat for rank, beat in found.items() if beat is not None}

    def _ask(self, alive: Mapping[int, Watched], beats: Mapping[int, Beat], now_ns: int) -> None:
        self._asked, self._asked_ns = dict(beats), now_ns
        for rank in beats:
            alive[rank].send(STACK_SIGNAL)

    def _judged(self, silent: Silent, now_ns: int) -> Hang | None:
        answers = {rank: self._answer(rank, beat) for rank, beat in self._asked.items()}
        waited = (now_ns - self._asked_ns) / 1e9
        rank = behind(answers)
        answer = answers[rank]
        if waited < _hearing(answer):
            return None
        message = TerminationMessage(
            outcome=Outcome.RETRYABLE,
            reason=REASON,
            message=sentence(rank, answer, silent),
            rank=rank,
            step=answer.beat.step,
            traceback=answer.stack,
        )
        return Hang(message, now_ns, answer.beat.beats, frozen=answer.stack is None)

    def _answer(self, rank: int, beat: Beat) -> Answer:
        stack = main_stack(self._dir.read_stack(rank))
        return Answer(beat, stack, waits=stack is not None and waits_for_peers(stack))


def _hearing(behind: Answer) -> float:
    """How many seconds to wait before the rank that is furthest behind is named.

    One that owes its answer, or the rest of it, is that.
    """
    if behind.stack in (None, PARTIAL):
        return _ANSWER_SECONDS
    return _COURTESY_SECONDS if behind.waits else _SETTLING_SECONDS
