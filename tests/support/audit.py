"""Judges what a watch saw of jobs and pods: nothing made twice, nothing lost, nothing taken back."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from finetune_api.names import JOB_NAME_LABEL, place_of
from finetune_api.status import JobStatus
from support.history import Happening, History

Body = dict[str, Any]


def breaches(history: History, *, taken: frozenset[str] = frozenset()) -> list[str]:
    """Return what went wrong, in words; pods in `taken` were deleted by others than the operator."""
    found: list[str] = []
    for job in sorted({_job(one.body) for one in history.happenings if one.body["kind"] == "Pod"}):
        ours = [one for one in history.happenings if _job(one.body) == job]
        pods = [one for one in ours if one.body["kind"] == "Pod"]
        statuses = [one for one in ours if one.body["kind"] == "FinetuneJob"]
        checks = (_made_twice(pods), _overlaps(pods), _taken_back(statuses), _deleted_too_early(pods, statuses, taken))
        found += [f"{job}: {breach}" for check in checks for breach in check]
    return found


def _made_twice(pods: list[Happening]) -> Iterator[str]:
    made = Counter(one.body["metadata"]["name"] for one in pods if one.change == "ADDED")
    yield from (f"pod {name} was created {count} times" for name, count in made.items() if count > 1)


def _overlaps(pods: list[Happening]) -> Iterator[str]:
    """Pods of an attempt are made only once all of the one before have ended."""
    alive: dict[str, int] = {}
    for one in sorted(pods, key=lambda one: one.at):
        name, attempt = one.body["metadata"]["name"], _attempt(one.body)
        if one.change == "DELETED" or one.body["status"].get("phase") in ("Succeeded", "Failed"):
            alive.pop(name, None)
        else:
            alive[name] = attempt
        if len(set(alive.values())) > 1:
            yield f"{sorted(alive)} are alive together"


def _taken_back(statuses: list[Happening]) -> Iterator[str]:
    """What was said stays said."""
    before = JobStatus()
    for one in sorted(statuses, key=lambda one: one.at):
        after = JobStatus.of(one.body)
        known = {attempt.number: attempt for attempt in after.attempts}
        if after.restarts < before.restarts:
            yield f"restarts fell from {before.restarts} to {after.restarts}"
        for attempt in before.attempts:
            if attempt.outcome is not None and known[attempt.number].outcome != attempt.outcome:
                yield f"attempt {attempt.number} was {attempt.outcome} and became {known[attempt.number].outcome}"
        if before.completion_time is not None and (after.completion_time, after.state) != (
            before.completion_time,
            before.state,
        ):
            yield f"it was over as {before.state}, and then {after.state}"
        before = after


def _deleted_too_early(pods: list[Happening], statuses: list[Happening], taken: frozenset[str]) -> Iterator[str]:
    """Why the pods of an attempt go is in the status before the first is asked to."""
    known: dict[int, int] = {}
    for one in sorted(statuses, key=lambda one: one.at):
        for attempt in JobStatus.of(one.body).attempts:
            if attempt.reason is not None:
                known.setdefault(attempt.number, one.at)
    for one in pods:
        leaves = one.change == "DELETED" or "deletionTimestamp" in one.body["metadata"]
        name, number = one.body["metadata"]["name"], _attempt(one.body)
        if leaves and name not in taken and one.at < known.get(number, one.at + 1):
            yield f"pod {name} was deleted before it was recorded why"


def _job(body: Body) -> str:
    metadata = body["metadata"]
    return str((metadata.get("labels") or {}).get(JOB_NAME_LABEL) or metadata["name"])


def _attempt(body: Body) -> int:
    place = place_of(body["metadata"].get("labels") or {})
    assert place is not None
    return place.attempt
