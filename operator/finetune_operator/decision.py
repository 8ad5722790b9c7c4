"""What planning returns: objects to create, objects to delete, what to report, and when to look again."""

from dataclasses import dataclass
from typing import Any

from finetune_api.status import JobStatus

Body = dict[str, Any]


@dataclass(frozen=True)
class Deletion:
    """An object to delete, if it is still the one with this uid."""

    kind: str
    name: str
    uid: str
    grace: int | None = None
    """Seconds between SIGTERM and SIGKILL; None: the pod's own; 0 also removes what no kubelet will ever confirm."""


@dataclass(frozen=True)
class Event:
    """A line in the history of a job, for people."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Plan:
    """What to do, in this order: the status, then creates and deletes; events once what they are about is done."""

    create: tuple[Body, ...] = ()
    delete: tuple[Deletion, ...] = ()
    status: JobStatus | None = None
    """The new status; None when it has not changed."""
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds until the job should be planned again even when nothing happens; 0: as soon as this plan is applied."""

    @property
    def acts(self) -> bool:
        """Whether it changes anything in the cluster."""
        return bool(self.create or self.delete or self.status or self.events)
