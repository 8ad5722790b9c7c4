"""What a case of the failure table is: a job, a point in its run, a fault, and the cause that must be named for it."""

import random
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from finetune_api.reasons import COUNTED, AttemptOutcome

STEPS: Final = 16
SAVED_EVERY: Final = 4
STRUCK_NODE: Final = "node-2"
"""Faults of nodes hit this one; the operator runs on the other."""

Victim = Literal["rank", "agent", "launcher", "pod", "node", "job", "preparation"]
"""Whom the cause must name: processes and pods by rank, pod and node; a `node` alone; of the whole `job`, nobody."""


@dataclass(frozen=True)
class Shape:
    """Which job is struck; runs of one reference end alike."""

    nodes: int
    processes: int = 1
    reference: str = "pair"
    dropout: bool = True
    """Which random numbers it takes depends on the number of ranks; without it their number changes no result."""
    apart: bool = False
    """Whether its pods may not share a node."""
    spec: dict[str, Any] = field(default_factory=dict)
    """Fields of the job's spec in the place of the usual ones."""


PAIR: Final = Shape(nodes=2)
ALONE: Final = Shape(nodes=1, processes=2, reference="alone")


@dataclass(frozen=True)
class Moment:
    """When it happens: at a point of one rank's program, or of the job's life."""

    point: Literal["step", "row", "save", "load", "preparing", "starting", "complete"]
    first: int = 0
    last: int = 0
    """The seed chooses a step from `first` to `last`."""


AT_A_STEP: Final = Moment("step", 6, 10)
"""Between the first checkpoint and the last but one."""
WHILE_SAVING: Final = Moment("save", 2 * SAVED_EVERY, 2 * SAVED_EVERY)


@dataclass(frozen=True)
class Truth:
    """What must be found; `Record` has it with the names of the pods and nodes that were struck."""

    outcome: AttemptOutcome | None
    """Of the struck attempt; None when the fault may end none, or, with a reason, when none may begin."""
    reason: str = ""
    victim: Victim = "rank"
    exit_code: int | None = None
    """Of the victim's pod; None where it is not certain."""
    state: Literal["Complete", "Failed"] = "Complete"
    ending: str = "Succeeded"
    """Reason of the condition Complete or Failed at the end."""
    lost: int = SAVED_EVERY
    """Steps that may be done twice."""
    within: float | None = None
    """Seconds after all pods of the struck attempt ran in which its end must be told; None: whenever."""
    words: tuple[str, ...] = ()
    """What the message or the traceback must hold; {rank} stands for the struck one."""

    @property
    def restarts(self) -> int:
        """How much of `maxRestarts` it uses up."""
        return int(self.outcome in COUNTED)


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    title: str
    shape: Shape
    when: Moment
    inside: str
    """What the struck rank does itself, as `finetune_faults` understands it; `pass`: it comes from outside."""
    outside: str
    """The function of `strikes` that strikes; empty: the rank does it itself."""
    truth: Truth
    alone: bool = False
    """It disturbs other jobs of the cluster, or is disturbed by them."""
    lingers: float = 0.0
    """Seconds after the strike in which something of it may still do harm; the result is looked at afterwards."""
    seconds: float = 420.0
    """How long all of it may take."""

    @property
    def tolerance(self) -> float:
        """How far the weights may be from those of the undisturbed run: not at all, on as many ranks."""
        return 1e-5 if "elastic" in self.shape.spec else 0.0

    def drawn(self, seed: int) -> tuple[int, int]:
        """Return the rank and the step that the seed chooses."""
        draw = random.Random(f"{seed} {self.name}")
        return draw.randrange(self.shape.nodes * self.shape.processes), draw.randint(self.when.first, self.when.last)
