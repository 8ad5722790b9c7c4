"""An operator that dies after any single effect of a plan, and one that follows it with an empty memory.

What a memory holds that no API server keeps: the last words of pods that are gone, refusals, and what rank 0 told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from finetune_api.names import ATTEMPT_LABEL
from finetune_api.reasons import ConditionType
from finetune_api.status import condition_of, is_terminal
from finetune_operator.decision import Plan
from finetune_operator.observed import Refusal
from finetune_operator.plan import plan
from support.fake_cluster import Body, FakeCluster, Planner

MOST_PLANS = 12
ORDER = ("status", "create", "delete", "events")


class Died(Exception):
    """The operator was killed."""


@dataclass
class Operator:
    """Settles a cluster, effect by effect, and dies after the effect of number `dies_after`."""

    cluster: FakeCluster
    dies_after: int | None = None
    quota: int | None = None
    """So many pods may exist; the API server refuses more."""
    order: Sequence[str] = ORDER
    effects: int = 0
    written: list[Body] = field(default_factory=list)
    """Every status that was written, in order."""
    created: list[tuple[str, str]] = field(default_factory=list)
    """Every child that was created, in order, by kind and name."""
    forgotten: set[str] = field(default_factory=set)
    """What died with the operator and nobody can tell again: pods that had gone before their end was recorded."""
    recorded: set[str] = field(default_factory=set)
    """Pods whose end is in the status, by uid."""
    deaths: int = 0

    def settle(self) -> None:
        """Plan and apply until nothing is left to do, over as many lives as it takes."""
        for _ in range(MOST_PLANS):
            decided = self.cluster.plan()
            if not decided.acts:
                return
            try:
                self._apply(decided)
            except Died:
                self._come_back()
        raise AssertionError(f"still acting after {MOST_PLANS} plans")

    def _apply(self, decided: Plan) -> None:
        for effect in self._effects_of(decided):
            effect()
            self.effects += 1
            if self.effects == self.dies_after:
                raise Died

    def _effects_of(self, decided: Plan) -> list[Callable[[], None]]:
        """What a plan does, one request after the other, as the reconciler and its hands do it."""
        others = [body for body in decided.create if body["kind"] != "Pod"]
        pods = [body for body in decided.create if body["kind"] == "Pod"]
        of_kind: dict[str, list[Callable[[], None]]] = {
            "status": [partial(self._write, decided)] if decided.status is not None else [],
            "create": [partial(self._create, body) for body in (*others, *pods)],
            "delete": [partial(self.cluster.apply, Plan(delete=(one,))) for one in decided.delete],
            "events": [partial(self.cluster.apply, Plan(events=(one,))) for one in decided.events],
        }
        return [effect for kind in self.order for effect in of_kind[kind]]

    def _write(self, decided: Plan) -> None:
        self.cluster.apply(Plan(status=decided.status))
        self.written.append(self.cluster.job["status"])
        for pod in (*self.cluster.pods(), *self.cluster.gone):
            if _is_over(self.cluster, pod):
                self.recorded.add(pod["metadata"]["uid"])

    def _create(self, body: Body) -> None:
        name = body["metadata"]["name"]
        if body["kind"] == "Pod" and self.quota is not None and len(self.cluster.pods()) >= self.quota:
            refusal = Refusal("Pod", name, 403, "exceeded quota: pods", self.cluster.now)
            self.cluster.refusals = (*(one for one in self.cluster.refusals if one.name != name), refusal)
            return
        self.cluster.refusals = tuple(one for one in self.cluster.refusals if one.name != name)
        new = (body["kind"], name) not in self.cluster.objects
        self.cluster.apply(Plan(create=(body,)))
        if new:  # a group is created again and again, which is how it is seen
            self.created.append((body["kind"], name))

    def _come_back(self) -> None:
        """The next life knows what the API server keeps, and asks rank 0 anew once it has looked around."""
        self.deaths += 1
        cluster = self.cluster
        self.forgotten |= {uid for pod in cluster.gone if (uid := pod["metadata"]["uid"]) not in self.recorded}
        if cluster.refusals and self.quota is None:
            self.forgotten.add("a refusal that nobody repeats")  # a happening put it into the memory alone
        told = cluster.progress, cluster.first_step, cluster.progress_error
        cluster.gone, cluster.refusals = [], ()
        cluster.progress, cluster.first_step, cluster.progress_error = None, None, None
        self.dies_after = None
        self.settle()
        cluster.progress, cluster.first_step, cluster.progress_error = told


@dataclass(frozen=True)
class Story:
    """A job, and what happens to it and around it; the operator settles after each step."""

    job: Body
    steps: Sequence[Callable[[Operator], None]]


def live(
    story: Story, dies_after: int | None = None, planner: Planner = plan, order: Sequence[str] = ORDER
) -> Operator:
    """Let a story happen to an operator, which may die once."""
    operator = Operator(FakeCluster(story.job, planner), dies_after, order=order)
    operator.settle()
    for step in story.steps:
        step(operator)
        operator.settle()
    return operator


def differences(lived: Operator, undisturbed: Operator) -> list[str]:
    """Return what a death has changed of the final state, and what was lost or done twice on the way."""
    found: list[str] = []
    ours, theirs = lived.cluster, undisturbed.cluster
    if ours.job.get("status") != theirs.job.get("status"):
        found.append(f"the status is {ours.job.get('status')}, undisturbed {theirs.job.get('status')}")
    if _objects(ours) != _objects(theirs):
        found.append(f"there are {_objects(ours)}, undisturbed {_objects(theirs)}")
    if sorted(lived.created) != sorted(undisturbed.created):
        found.append(f"created {lived.created}, undisturbed {undisturbed.created}")
    if _transitions(lived) != _transitions(undisturbed):
        found.append(f"went through {_transitions(lived)}, undisturbed {_transitions(undisturbed)}")
    repeated = [event for event in set(ours.events) if ours.events.count(event) > theirs.events.count(event)]
    if repeated:
        found.append(f"told more often than undisturbed: {sorted(repeated)}")
    return found


def taken_back(operator: Operator) -> list[str]:
    """Return what was said and then changed though it never may: ends of jobs and attempts, and counters."""
    found: list[str] = []
    for before, after in zip(operator.written, operator.written[1:], strict=False):
        if before.get("completionTime") and _ends(before) != _ends(after):
            found.append(f"{_ends(before)} became {_ends(after)}")
        if (after.get("restarts") or 0) < (before.get("restarts") or 0):
            found.append("restarts fell")
        known = {one["number"]: one.get("outcome") for one in after.get("attempts", ())}
        found += [
            f"attempt {one['number']} was {one['outcome']}, and became {known[one['number']]}"
            for one in before.get("attempts", ())
            if one.get("outcome") and known.get(one["number"], one["outcome"]) != one["outcome"]
        ]
    return found


def _ends(status: Body) -> list[tuple[str, str, str]]:
    return [(one["type"], one["status"], one["reason"]) for one in status.get("conditions", ())]


def _is_over(cluster: FakeCluster, pod: Body) -> bool:
    """Whether the status says how what a pod belonged to has ended."""
    number, status = pod["metadata"]["labels"].get(ATTEMPT_LABEL), cluster.status
    if number is None:
        known = condition_of(status.conditions, ConditionType.DATASET_PREPARED)
        return is_terminal(status.conditions) or (known is not None and known.reason in ("Retrying", "Prepared"))
    return number in {str(one.number) for one in status.attempts if one.outcome is not None}


def _objects(cluster: FakeCluster) -> dict[str, str]:
    return {
        f"{kind}/{name}": str((body.get("status") or {}).get("phase", ""))
        + "-" * ("deletionTimestamp" in body["metadata"])
        for (kind, name), body in sorted(cluster.objects.items())
    }


def _transitions(operator: Operator) -> list[Any]:
    """What the statuses said, without what was only repeated."""
    said: list[Any] = []
    for status in operator.written:
        attempts = [(one["number"], one.get("outcome"), one.get("reason")) for one in status.get("attempts", ())]
        now = (_ends(status), attempts, status.get("restarts"))
        if not said or said[-1] != now:
            said.append(now)
    return said
