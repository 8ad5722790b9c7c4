"""When a rank has been silent for too long, and which of several is the one that holds up the others.

Pure: a rank's last word, what each phase may take, and the time make the answer. All ranks of all nodes fall silent
together when one of them does, because they wait for it at their next collective.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite
from types import MappingProxyType
from typing import Final, Literal

from finetune_trainer.heartbeat import PHASES, Beat, HeartPhase

Measure = Literal["longest_step", "longest_save"]


@dataclass(frozen=True)
class Bound:
    """How long a phase may go without a sign of progress."""

    seconds: float
    """At least; the whole bound of a phase that is not measured."""
    times: float = 0.0
    """How many times the longest one measured, where that is more."""
    longest: Measure | None = None
    unmeasured: float | None = None
    """Instead, as long as there is nothing to compare with."""
    of_whole: bool = False
    """Holds for the step as a whole; otherwise for the time between two beats."""
    waited_for: bool = False
    """The peers wait no longer than `dist_timeout` here."""
    waited_for_at_least: float = 0.0
    """But they wait this long, whatever `dist_timeout` says."""


FIRST_STEP: Final = Bound(1800.0, of_whole=True)
BOUNDS: Final[Mapping[HeartPhase, Bound]] = MappingProxyType(
    {
        "import": Bound(900.0),
        "prepare": Bound(inf),  # waits for the preparation, a process of its own that may take hours
        "load": Bound(3600.0),
        "first_step": FIRST_STEP,
        "step": Bound(
            120.0,
            times=10.0,
            longest="longest_step",
            unmeasured=FIRST_STEP.seconds,
            of_whole=True,
            waited_for=True,
        ),
        "save": Bound(600.0, times=5.0, longest="longest_save", unmeasured=3600.0),
        "eval": Bound(
            600.0,
            times=10.0,
            longest="longest_step",
            unmeasured=FIRST_STEP.seconds,
            waited_for=True,
        ),
        "export": Bound(3600.0),
        "report": Bound(600.0),
        "done": Bound(inf),
    }
)
"""What each phase may take, in seconds, unless told otherwise."""

_UNEVEN = 3.0
"""Ranks without a peer to wait for may be silent for this many of the longest steps, whatever `dist_timeout` says."""


@dataclass(frozen=True)
class Silent:
    """A rank that has exceeded its bound."""

    rank: int
    beat: Beat
    seconds: float
    """For which it has been silent."""
    allowed: float


def bounds_of(step_timeout: float | None, phases: Mapping[HeartPhase, float]) -> Mapping[HeartPhase, Bound]:
    """Return the table with a bound for steps, and for other phases, that somebody has chosen.

    The phases may be those of an image, for all its jobs: what a job says of its steps counts more.
    """
    bounds = dict(BOUNDS)
    bounds |= {name: Bound(seconds, of_whole=BOUNDS[name].of_whole) for name, seconds in phases.items()}
    if step_timeout is not None:
        first = phases.get("first_step", max(FIRST_STEP.seconds, 10 * step_timeout))
        bounds["first_step"] = Bound(max(first, step_timeout), of_whole=True)
        bounds["step"] = Bound(step_timeout, of_whole=True)
    bounds["eval"] = _of_evaluations(bounds["eval"], bounds["first_step"], step_timeout or 0.0)
    return bounds


def _of_evaluations(bound: Bound, first_step: Bound, step_timeout: float) -> Bound:
    """Give a batch of an evaluation the time of a step, and of the first one as long as none was measured."""
    seconds = max(bound.seconds, step_timeout)
    unmeasured = None if bound.unmeasured is None else max(seconds, first_step.seconds)
    return replace(bound, seconds=seconds, unmeasured=unmeasured, waited_for_at_least=step_timeout)


def parse_phase_timeouts(text: str) -> dict[HeartPhase, float]:
    """Read `save=1200,load=inf`; raises ValueError for another phase, or for what is no positive number."""
    chosen: dict[HeartPhase, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        phase, seconds = _phase_timeout(part)
        chosen[phase] = seconds
    return chosen


def _phase_timeout(part: str) -> tuple[HeartPhase, float]:
    name, _, number = part.partition("=")
    known = next((phase for phase in PHASES if phase == name), None)
    if known is None or not re.fullmatch(r"inf|\d+(\.\d+)?", number) or not float(number):
        raise ValueError(f"{part!r} is not PHASE=SECONDS with one of the phases {', '.join(PHASES)}")
    return known, float(number)


def silent_rank(
    beats: Mapping[int, Beat], bounds: Mapping[HeartPhase, Bound], now_ns: int, awake_since_ns: int = 0
) -> Silent | None:
    """Return a rank that has exceeded its bound, or None; before `awake_since_ns` nobody could have made progress."""
    late = []
    for rank, beat in beats.items():
        bound = bounds[beat.phase]
        begun_ns = max(beat.since_ns if bound.of_whole else beat.at_ns, awake_since_ns)
        heard_ns = max(beat.at_ns, awake_since_ns)
        checks = ((now_ns - begun_ns, _allowed(bound, beat)), (now_ns - heard_ns, _patience(bound, beat)))
        late += [Silent(rank, beat, ns / 1e9, allowed) for ns, allowed in checks if ns / 1e9 > allowed]
    return min(late, key=lambda silent: (silent.beat.beats, silent.beat.at_ns), default=None)


def _allowed(bound: Bound, beat: Beat) -> float:
    if bound.longest is None:
        return bound.seconds
    longest: float = getattr(beat, bound.longest)
    if not longest and bound.unmeasured is not None:
        return bound.unmeasured
    return max(bound.seconds, bound.times * longest)


def _patience(bound: Bound, beat: Beat) -> float:
    """How long the peers would wait for this rank, as long as all of them may be expected to be equally fast."""
    if not bound.waited_for or not beat.patience or not beat.longest_step:
        return inf
    return max(beat.patience, _UNEVEN * beat.longest_step, bound.waited_for_at_least)


@dataclass(frozen=True)
class Answer:
    """What a rank of a run that hangs said when it was asked for its stack."""

    beat: Beat
    stack: str | None
    waits: bool
    """Its innermost frames are those of a collective."""


def behind(answers: Mapping[int, Answer]) -> int:
    """Return the rank that the others wait for.

    One that did not answer is stopped, or stuck in the kernel. Otherwise the one with the fewest points passed; of
    equal ones, one that does not wait in a collective itself, and then the one that was heard of first.
    """

    def order(rank: int) -> tuple[bool, int, bool, int]:
        answer = answers[rank]
        return (answer.stack is not None, answer.beat.beats, answer.waits, answer.beat.at_ns)

    return min(answers, key=order)


def sentence(rank: int, answer: Answer, silent: Silent) -> str:
    """Say what hangs, for how long, and how long it may take, in one sentence for a person."""
    where = _WHERE[answer.beat.phase].format(step=answer.beat.step, next=answer.beat.step + 1)
    text = f"rank {rank} fell silent {where}: no progress for {silent.seconds:.0f} s"
    if isfinite(silent.allowed):
        text += f", where {silent.allowed:.0f} s are allowed"
    if answer.stack is None:
        text += "; it did not answer when asked for its stack: it is stopped, or stuck in the kernel or a device"
    return text


_WHERE: Final[Mapping[HeartPhase, str]] = MappingProxyType(
    {
        "import": "while it imported its libraries",
        "prepare": "while it waited for the prepared data",
        "load": "while it loaded model, checkpoint or data",
        "first_step": "in step {next}, the first of this attempt",
        "step": "in step {next}",
        "save": "while it saved step {step}",
        "eval": "in an evaluation after step {step}",
        "export": "while it exported the model",
        "report": "while it wrote its report",
        "done": "when it was done",
    }
)
