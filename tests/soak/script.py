"""The whole story of a soak, drawn from its seed before any of it is played."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NODES: Final = 12
"""Simulated machines."""
FREE_LIMIT: Final = 6
"""The operator's setting: so many disruptions in a row without a new checkpoint fail a job."""
_LONGEST_FREE_RUN: Final = 3
"""Scripted disruptions in a row where the story is not about them, which leaves room for lost nodes."""


class Kind(StrEnum):
    """What is done to an attempt once all its pods run, or to a pod that prepares."""

    SUCCEED = "succeed"
    ALREADY_COMPLETE = "already complete"
    USER_TOLD = "user failure, told"
    USER_SILENT = "user failure, by exit code alone"
    CRASH = "crash without words"
    CRASH_TOLD = "crash with a traceback"
    GARBLED = "crash with garbled words"
    LYING = "crash whose words claim success"
    RETRYABLE = "exit 75"
    OOM_KILLED = "OOMKilled"
    HANG = "hang"
    PREFLIGHT = "preflight failed"
    SUPERSEDED = "superseded"
    DRAIN = "all saved and left"
    SHUTDOWN = "node shut down"
    EVICTED = "evicted by the kubelet"
    REJECTED = "rejected by the kubelet"
    EVICTION = "eviction through the API"
    POD_DELETED = "pod deleted"
    POD_REMOVED = "pod deleted by force"
    SUSPEND = "suspend and resume"
    SUSPEND_CRASH = "suspend while a pod crashes"
    RESTART_BUDGET = "maxRestarts edited"
    RESIZE = "nodes edited"
    DELETE_JOB = "job deleted"
    RECREATE_JOB = "job deleted and created again"
    OVERTIME = "runs past its deadline"


@dataclass(frozen=True)
class Act:
    """One thing that happens."""

    kind: Kind
    after: float = 0.1
    """Seconds between all pods running and the act."""
    rank: int = 0
    """Of the pod that it happens to."""
    code: int = 0
    """Exit code, where the kind leaves a choice."""
    echo: float | None = None
    """Seconds from the cause to the exit 75 of a peer that lost it; negative: the peer is seen first."""
    checkpoint: bool = False
    """A checkpoint newer than any before was saved."""
    value: int = 0
    """The new value of what is edited."""
    pause: float = 0.5
    """Seconds for which a job stays suspended, or deleted."""


class Ending(StrEnum):
    """What a story is about, where that is not its attempts."""

    RUN = "run"
    CONFIG_MISTAKE = "config mistake"
    UNPLACEABLE = "no node fits"
    OVERTIME = "active deadline"


class Voice(StrEnum):
    """How rank 0 answers to those who ask for its progress."""

    HONEST = "honest"
    SILENT = "silent"
    ABSURD = "absurd"
    SLOW = "slow"


@dataclass(frozen=True)
class Story:
    """One job and all that happens to it."""

    name: str
    nodes: int = 1
    elastic: bool = False
    prepares: bool = False
    """In a pod of its own."""
    max_restarts: int = 3
    born_suspended: bool = False
    ending: Ending = Ending.RUN
    voice: Voice = Voice.HONEST
    preparing: tuple[Act, ...] = ()
    acts: tuple[Act, ...] = ()


class Fault(StrEnum):
    """What happens to all jobs alike."""

    OPERATOR_KILLED = "operator killed"
    API_RESTARTED = "API server restarted"
    NODE_NOT_READY = "node not ready"
    NODE_OUT_OF_SERVICE = "node out of service"
    NODE_DELETED = "node deleted"
    QUOTA = "quota used up"


@dataclass(frozen=True)
class Stroke:
    """A fault of the cluster, or of the operator."""

    at: float
    """Seconds from the start."""
    fault: Fault
    seconds: float
    node: int = 0


@dataclass(frozen=True)
class Script:
    """Everything random of a soak."""

    seed: int
    stories: tuple[Story, ...]
    strokes: tuple[Stroke, ...]


_CRASH_CODES: Final = (1, 9, 134, 137, 139, 143, 255, 130)
_USER_CODES: Final = (2, 3, 4, 5, 6, 7)
_COUNTED: Final = (
    Kind.CRASH, Kind.CRASH_TOLD, Kind.GARBLED, Kind.LYING, Kind.RETRYABLE,
    Kind.OOM_KILLED, Kind.HANG, Kind.PREFLIGHT,
)  # fmt: skip
_FREE: Final = (
    Kind.DRAIN, Kind.SHUTDOWN, Kind.EVICTED, Kind.REJECTED, Kind.EVICTION, Kind.POD_DELETED, Kind.POD_REMOVED,
    Kind.SUPERSEDED,
)  # fmt: skip
_BY_PEOPLE: Final = (Kind.SUSPEND, Kind.SUSPEND_CRASH, Kind.RESTART_BUDGET, Kind.RESIZE, Kind.RESIZE, Kind.RECREATE_JOB)
_ECHOED: Final = frozenset({Kind.USER_TOLD, Kind.CRASH_TOLD, Kind.OOM_KILLED, Kind.CRASH})
_PREPARING: Final = (Kind.CRASH, Kind.CRASH_TOLD, Kind.OOM_KILLED, Kind.EVICTED, Kind.POD_REMOVED, Kind.EVICTION)
_OFTEN: Final = {Ending.RUN: 90, Ending.CONFIG_MISTAKE: 4, Ending.UNPLACEABLE: 2, Ending.OVERTIME: 4}


def draw(seed: int, jobs: int) -> Script:
    """Return the script of a seed; the same for the same arguments, on any machine."""
    dice = random.Random(f"soak {seed} {jobs}")
    stories = tuple(_story(dice, f"soak-{number:03}") for number in range(jobs))
    return Script(seed, stories, tuple(_strokes(dice)))


def _story(dice: random.Random, name: str) -> Story:
    (ending,) = dice.choices(list(_OFTEN), list(_OFTEN.values()))
    nodes = dice.choice((1, 1, 2, 2, 2, 3, 4))
    shape = Story(
        name,
        nodes=nodes,
        elastic=dice.random() < 0.5,
        prepares=dice.random() < 0.3,
        max_restarts=dice.choice((0, 1, 2, 3, 3, 5)),
        born_suspended=dice.random() < 0.05,
        ending=ending,
        voice=dice.choice(list(Voice)),
    )
    preparing = tuple(_preparing(dice)) if shape.prepares else ()
    acts = tuple(_acts(dice, shape)) if ending is Ending.RUN else ()
    if ending is Ending.OVERTIME:
        acts = (Act(Kind.OVERTIME),)
    return Story(**{**vars(shape), "preparing": preparing, "acts": acts})


def _preparing(dice: random.Random) -> Iterator[Act]:
    for _ in range(dice.choice((0, 0, 1, 2))):
        yield Act(dice.choice(_PREPARING), after=_soon(dice), code=dice.choice(_CRASH_CODES))
    last = dice.random()
    if last < 0.06:
        yield Act(Kind.USER_TOLD, after=_soon(dice), code=dice.choice((2, 3, 4, 5)))
    elif last < 0.1:
        yield Act(Kind.ALREADY_COMPLETE, after=_soon(dice))
    yield Act(Kind.SUCCEED, after=_soon(dice))


def _acts(dice: random.Random, shape: Story) -> Iterator[Act]:
    if dice.random() < 0.04:  # nothing but disruptions, none of which leaves a checkpoint
        yield from (_act(dice, shape, dice.choice(_FREE)) for _ in range(FREE_LIMIT))
    else:
        yield from _attempts(dice, shape)
    last = dice.choices((Kind.SUCCEED, Kind.ALREADY_COMPLETE, Kind.USER_TOLD, Kind.USER_SILENT, Kind.DELETE_JOB),
                        (70, 3, 12, 6, 9))[0]  # fmt: skip
    yield _act(dice, shape, last)
    if last is not Kind.SUCCEED:
        yield _act(dice, shape, Kind.SUCCEED)


def _attempts(dice: random.Random, shape: Story) -> Iterator[Act]:
    free = 0
    for _ in range(dice.choice((0, 0, 1, 1, 2, 2, 3, 4, 6))):
        kinds = dice.choices((_COUNTED, _FREE, _BY_PEOPLE), (45, 35, 20))[0]
        if kinds is _FREE and free == _LONGEST_FREE_RUN:
            kinds = _COUNTED
        kind = dice.choice(kinds)
        if kind is Kind.RESIZE and not shape.elastic:
            kind = Kind.SUSPEND
        free = free + 1 if kinds is _FREE else free if kinds is _BY_PEOPLE else 0
        yield _act(dice, shape, kind)


def _act(dice: random.Random, shape: Story, kind: Kind) -> Act:
    codes: Sequence[int] = _USER_CODES if kind in (Kind.USER_TOLD, Kind.USER_SILENT) else _CRASH_CODES
    value = dice.randint(1, 4) if kind is Kind.RESIZE else dice.randint(0, 6)
    echoed = kind in _ECHOED and shape.nodes > 1 and dice.random() < 0.5
    return Act(
        kind,
        after=_soon(dice),
        rank=dice.randrange(shape.nodes),
        code=dice.choice(codes),
        echo=dice.choice((-0.7, -0.2, 0.0, 0.3)) if echoed else None,
        checkpoint=kind in (Kind.DRAIN, Kind.SUSPEND) and dice.random() < 0.5,
        value=value,
        pause=round(dice.uniform(0.0, 1.5), 2),
    )


def _soon(dice: random.Random) -> float:
    """Mostly at once; now and then late enough for somebody to ask for the run's progress."""
    return round(dice.uniform(3.0, 7.0) if dice.random() < 0.1 else dice.uniform(0.0, 0.8), 2)


def _strokes(dice: random.Random) -> Iterator[Stroke]:
    """Faults for ten minutes, which is longer than any soak takes; an API server takes a while to come back."""
    at, nodes = 5.0, (Fault.NODE_NOT_READY, Fault.NODE_OUT_OF_SERVICE, Fault.NODE_DELETED)
    while at < 600:
        fault = dice.choices((Fault.OPERATOR_KILLED, Fault.API_RESTARTED, Fault.QUOTA, *nodes), (45, 6, 9, 20, 8, 12))[
            0
        ]
        yield Stroke(round(at, 2), fault, round(dice.uniform(0.0, 4.0), 2), dice.randrange(NODES))
        at += dice.uniform(2.0, 9.0)
