"""A job as the cluster holds it, read so that a newer operator's status can still be shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from pydantic import ValidationError

from finetune_api.errors import ConfigInvalid
from finetune_api.job import load_job
from finetune_api.job.policies import RunPolicy
from finetune_api.names import MANAGER
from finetune_api.reasons import ConditionType
from finetune_api.status import (
    AttemptStatus,
    Condition,
    JobStatus,
    condition_of,
    decisive_condition,
    is_terminal,
    is_true,
    state_of,
)

Raw = Mapping[str, Any]

DELETING: Final = "Deleting"


@dataclass(frozen=True)
class JobView:
    """One job; what cannot be read is left out, since looking must always be possible."""

    name: str
    namespace: str
    uid: str
    created: datetime | None
    nodes: int
    managed_by: str | None
    deleting: bool
    status: JobStatus
    body: Raw

    @classmethod
    def of(cls, body: Raw) -> Self:
        """Read a job as the API server gave it."""
        metadata, spec = body["metadata"], body.get("spec") or {}
        created = metadata.get("creationTimestamp")
        return cls(
            name=metadata["name"],
            namespace=metadata.get("namespace") or "default",
            uid=metadata.get("uid") or "",
            created=datetime.fromisoformat(created) if created else None,
            nodes=spec.get("nodes") or 1,
            managed_by=spec.get("managedBy"),
            deleting="deletionTimestamp" in metadata,
            status=_status(body),
            body=body,
        )

    @property
    def key(self) -> tuple[str, str]:
        """What tells the jobs of a cluster apart."""
        return self.namespace, self.name

    @property
    def state(self) -> str:
        """One word for the whole job, also one that only its operator knows."""
        if self.deleting:
            return DELETING
        word = (self.body.get("status") or {}).get("state")
        return str(word) if word else state_of(self.status.conditions).value

    @property
    def grace(self) -> int:
        """Seconds that the job's author gives its pods to save."""
        asked = (self.body["spec"].get("runPolicy") or {}).get("gracePeriodSeconds")
        return asked if isinstance(asked, int) else RunPolicy().grace_period_seconds

    @property
    def over(self) -> bool:
        """Whether the job has ended, well or not."""
        return is_terminal(self.status.conditions)

    @property
    def complete(self) -> bool:
        """Whether it has ended well."""
        return is_true(self.status.conditions, ConditionType.COMPLETE)

    @property
    def attempt(self) -> AttemptStatus | None:
        """The newest attempt."""
        return self.status.attempts[-1] if self.status.attempts else None

    @property
    def ours(self) -> bool:
        """Whether this project's operator looks after it."""
        return self.managed_by in (None, MANAGER)

    @property
    def processes(self) -> int:
        """Ranks of one node."""
        if self.status.frozen and self.status.frozen.processes_per_node:
            return self.status.frozen.processes_per_node
        from finetune_operator.children.blueprint import processes_per_node

        try:
            document = {key: value for key, value in self.body.items() if key != "status"}
            return processes_per_node(load_job(document).spec)
        except ConfigInvalid:
            return 1

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of this type, if anything was said of it."""
        return condition_of(self.status.conditions, kind)

    @property
    def sentence(self) -> str:
        """What the operator says of the job now: the message of the condition that its state comes from."""
        decisive = decisive_condition(self.status.conditions)
        return decisive.message if decisive else ""

    @property
    def reason(self) -> str:
        """CamelCase word of the same condition."""
        decisive = decisive_condition(self.status.conditions)
        return decisive.reason if decisive else ""


def _status(body: Raw) -> JobStatus:
    try:
        return JobStatus.of(body)
    except ValidationError:
        return _readable(body.get("status") or {})


def _readable(status: Raw) -> JobStatus:
    """Return those fields of a status that can be understood."""
    kept: dict[str, Any] = {}
    for key, value in status.items():
        try:
            JobStatus.model_validate({key: value})
        except ValidationError:
            continue
        kept[key] = value
    return JobStatus.model_validate(kept)
