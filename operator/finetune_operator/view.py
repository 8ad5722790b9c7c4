"""A job while it is being planned: what was seen, and what has been decided so far."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self, TypeVar

from finetune_api.job import FinetuneJobSpec
from finetune_api.reasons import ConditionType, Reason, reason_of
from finetune_api.status import AttemptStatus, FrozenStatus, JobStatus, with_condition
from finetune_api.status.part import StatusPart
from finetune_operator.children.blueprint import Blueprint
from finetune_operator.decision import Body, Deletion, Event
from finetune_operator.observed import Observed, SeenJob
from finetune_operator.seen_pod import SeenPod
from finetune_operator.settings import Settings

PartT = TypeVar("PartT", bound=StatusPart)


@dataclass(frozen=True)
class View:
    """A job and its surroundings; `status` is what will be reported, `recorded` what the cluster already knows."""

    job: SeenJob
    observed: Observed
    now: datetime
    settings: Settings
    status: JobStatus
    blueprint: Blueprint | None = None
    """None until the job is accepted."""
    create: tuple[Body, ...] = ()
    delete: tuple[Deletion, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    blocked: bool = False
    """Something is in the way of the children: nothing is created for now."""
    done: bool = False
    """No further policy has a say."""

    @property
    def recorded(self) -> JobStatus:
        """The status that the cluster already knows."""
        return self.job.status

    @property
    def plans(self) -> Blueprint:
        """What children are built from; only for policies that come after the acceptance."""
        assert self.blueprint is not None
        return self.blueprint

    @property
    def spec(self) -> FinetuneJobSpec:
        """The judged spec; only for policies that come after the acceptance."""
        return self.plans.spec

    @property
    def frozen(self) -> FrozenStatus:
        """What was settled at the acceptance."""
        assert self.status.frozen is not None
        return self.status.frozen

    @property
    def attempt(self) -> AttemptStatus | None:
        """The newest attempt, over or not."""
        return self.status.attempts[-1] if self.status.attempts else None

    def stop(self) -> Self:
        """Let this be the last word."""
        return replace(self, done=True)

    def report(self, **changes: object) -> Self:
        """Change fields of the status."""
        return replace(self, status=amended(self.status, **changes))

    def say(self, condition: ConditionType, reason: str, **facts: object) -> Self:
        """Set a condition to what the table says under `reason`."""
        row = reason_of(condition, reason)
        return self.report(conditions=self._with(row, row.say(**facts)))

    def forget(self, *kinds: ConditionType) -> Self:
        """Say nothing about these conditions any more."""
        return self.report(conditions=tuple(one for one in self.status.conditions if one.type not in kinds))

    def creating(self, *bodies: Body) -> Self:
        """Create these objects, unless something is in the way."""
        return self if self.blocked else replace(self, create=(*self.create, *bodies))

    def deleting(self, deletions: Sequence[Deletion]) -> Self:
        """Delete these objects."""
        return replace(self, delete=(*self.delete, *deletions))

    def tell(self, event: Event) -> Self:
        """Tell people something that no condition says."""
        return replace(self, events=(*self.events, event))

    def again_after(self, seconds: float) -> Self:
        """Look again after at most so many seconds."""
        soonest = seconds if self.requeue_after is None else min(seconds, self.requeue_after)
        return replace(self, requeue_after=max(0.0, soonest))

    def since(self, moment: datetime) -> float:
        """Seconds that have passed since `moment`; negative for one that is yet to come.

        So may be one that was noted by a leader whose clock was ahead.
        """
        return (self.now - moment) / timedelta(seconds=1)

    def with_attempt(self, attempt: AttemptStatus) -> Self:
        """Put `attempt` in the place of the newest."""
        return self.report(attempts=(*self.status.attempts[:-1], attempt))

    def _with(self, row: Reason, message: str) -> object:
        return with_condition(self.status.conditions, row, message, self.now, self.job.generation)


def amended(part: PartT, **changes: object) -> PartT:
    """Return a status part with other values in it, judged like any other."""
    return type(part)(**{name: getattr(part, name) for name in type(part).model_fields} | changes)


def deletion_of(pod: SeenPod, grace: int | None = None) -> Deletion:
    """Return the deletion of a pod."""
    return Deletion("Pod", pod.name, pod.uid, grace)
