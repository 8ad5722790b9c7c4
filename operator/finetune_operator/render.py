"""What a job will consist of, before it exists: planned step by step on an empty cluster, by the one `plan`."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from finetune_api.errors import ConfigInvalid
from finetune_api.job import load_job
from finetune_api.names import PREPARE_ROLE, ROLE_LABEL
from finetune_api.reasons import ConditionType
from finetune_api.status import condition_of, is_true
from finetune_operator.decision import Body
from finetune_operator.observed import Observed, SeenJob, Surroundings, observe
from finetune_operator.plan import plan
from finetune_operator.settings import Settings

PLACEHOLDER_UID: Final = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that the API server will give the job."""
_PLACEHOLDER_HASH: Final = "0" * 64
_THEN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""No object carries the time at which it was planned."""
_MOST_PLANS: Final = 20


def render_children(document: Mapping[str, Any], settings: Settings) -> list[Body]:
    """Return the objects that the operator will create for the first attempt of a job, in the order of creation.

    A suspended job is rendered as if it were resumed; one that another controller manages has none. Raises
    ConfigInvalid for a job that would fail, or that `settings` forbid.
    """
    job, made = _new_job(document), list[Body]()
    for _ in range(_MOST_PLANS):
        decided = plan(job, _after(job, made), _THEN, settings)
        made += decided.create
        if not decided.acts:
            return made
        job = replace(job, status=decided.status or job.status)
        _refuse(job)
    raise RuntimeError(f"no end of planning after {_MOST_PLANS} steps")


def _new_job(document: Mapping[str, Any]) -> SeenJob:
    """The job as the API server would have it just after its creation."""
    load_job(document)
    body = copy.deepcopy({key: value for key, value in document.items() if key != "status"})
    body["metadata"] |= {"uid": PLACEHOLDER_UID, "generation": 1}
    body["metadata"].pop("deletionTimestamp", None)
    (body["spec"].get("runPolicy") or {}).pop("suspend", None)
    return SeenJob.of(body)


def _after(job: SeenJob, made: list[Body]) -> Observed:
    """A cluster in which preparing has gone well and nothing else has happened yet."""
    pods = [body | {"status": {"phase": _phase(body)}} for body in made if body["kind"] == "Pod"]
    children = [body for body in made if body["kind"] != "Pod"]
    return replace(observe(job, Surroundings(pods=pods, children=children)), code_sha256=_PLACEHOLDER_HASH)


def _phase(pod: Body) -> str:
    return "Succeeded" if pod["metadata"]["labels"][ROLE_LABEL] == PREPARE_ROLE else "Pending"


def _refuse(job: SeenJob) -> None:
    for kind in (ConditionType.FAILED, ConditionType.STALLED):
        condition = condition_of(job.status.conditions, kind)
        if condition is not None and is_true(job.status.conditions, kind):
            raise ConfigInvalid(condition.message)
