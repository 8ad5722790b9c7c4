"""One plan and the cluster for which it was made, as a law judges them."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finetune_api.status import JobStatus
from finetune_operator.decision import Plan
from support.fake_cluster import FakeCluster, Planner


class LawBroken(AssertionError):
    """A plan broke a law; its message begins with the law's name."""


@dataclass(frozen=True)
class Case:
    """A plan, the cluster for which it was made, and what the cluster knew at that time."""

    cluster: FakeCluster
    before: JobStatus
    decided: Plan
    seen: Counter[str]
    """How many states each law found interesting."""

    @property
    def after(self) -> JobStatus:
        """The status once the plan is applied."""
        return self.decided.status or self.before


Law = Callable[[Case], Iterator[str]]


@dataclass(frozen=True)
class Mutation:
    """A mistaken plan, and the law that has to notice."""

    law: Law
    planner: Planner
