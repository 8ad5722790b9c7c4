"""The laws of planning, each a check of one plan against the cluster for which it was made."""

import copy
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from finetune_api.names import ATTEMPT_LABEL, JOB_UID_LABEL, MANAGER
from finetune_api.reasons import ConditionType
from finetune_api.status import JobStatus, condition_of, is_terminal
from finetune_operator.decision import Plan
from finetune_operator.policies.ending import DISRUPTIONS
from support.attempt_laws import ATTEMPT_LAWS
from support.fake_cluster import Body, FakeCluster
from support.plan_case import Case, Law, LawBroken
from support.restricted import breaches


def hands_off(case: Case) -> Iterator[str]:
    """Nothing is done about a job that is being deleted, or that another controller manages."""
    job = case.cluster.seen_job()
    if job.deleting or job.managed_by not in (None, MANAGER):
        case.seen["hands_off"] += 1
        if case.decided != Plan():
            yield f"acted on a job that is not to be touched: {case.decided}"


def terminal_is_terminal(case: Case) -> Iterator[str]:
    """The conditions of a job that is over never change, and no pod is created for it."""
    if is_terminal(case.before.conditions):
        case.seen["terminal_is_terminal"] += 1
        if case.decided.create:
            yield f"created {len(case.decided.create)} objects for a job that is over"
        if case.after.conditions != case.before.conditions:
            yield f"changed {case.before.conditions} into {case.after.conditions}"


def children_are_owned(case: Case) -> Iterator[str]:
    """Every child carries the uid of its job, by which it is found and deleted."""
    for body in case.decided.create:
        case.seen["children_are_owned"] += 1
        metadata, uid = body["metadata"], case.cluster.job["metadata"]["uid"]
        owners = [owner["uid"] for owner in metadata.get("ownerReferences", [])]
        retained = body["kind"] == "PersistentVolumeClaim" and not owners
        if metadata["labels"].get(JOB_UID_LABEL) != uid or not (retained or owners == [uid]):
            yield f"{body['kind']} {metadata['name']} does not belong to {uid}: {metadata}"


def pods_are_restricted(case: Case) -> Iterator[str]:
    """Every pod meets Pod Security *restricted*, and more."""
    for body in case.decided.create:
        if body["kind"] == "Pod":
            case.seen["pods_are_restricted"] += 1
            yield from breaches(body["spec"])


def rendering_is_stable(case: Case) -> Iterator[str]:
    """The same input renders byte-identical objects, also at another time."""
    if case.decided.create:
        case.seen["rendering_is_stable"] += 1
        cluster = case.cluster
        again = cluster.planner(cluster.seen_job(), cluster.observed(), cluster.now, cluster.settings)
        if _bytes(again.create) != _bytes(case.decided.create):
            yield "a second rendering differs from the first"
        other = copy.deepcopy(cluster)
        other.wait(1)
        later = {_name(body): body for body in other.plan().create}
        if any(_bytes((body,)) != _bytes((later.get(_name(body), body),)) for body in case.decided.create):
            yield "a later rendering differs from the first"


def attempts_do_not_overlap(case: Case) -> Iterator[str]:
    """A pod is created only when no pod of another attempt may still run on a node that works."""
    for attempt in {_attempt(body) for body in case.decided.create} - {None}:
        case.seen["attempts_do_not_overlap"] += bool(int(attempt or 0))
        others = case.cluster.attempts_alive() - {attempt}
        if others:
            yield f"attempt {attempt} is created while {sorted(others)} may run"


def status_comes_first(case: Case) -> Iterator[str]:
    """What ends an attempt is in the cluster's status before any pod is created or deleted because of it."""
    over = {str(one.number) for one in case.before.attempts if one.reason is not None}
    known = {str(one.number) for one in case.before.attempts}
    ends = {one.number for one in case.after.attempts if one.outcome} - {
        one.number for one in case.before.attempts if one.outcome
    }
    pods = [one for one in case.decided.delete if one.kind == "Pod"]
    created = [body for body in case.decided.create if body["kind"] == "Pod"]
    if ends:
        case.seen["status_comes_first"] += 1
        if pods or created:
            yield f"touched pods in the plan that records the end of attempts {sorted(ends)}"
    labels = [case.cluster.pod(one.name)["metadata"]["labels"].get(ATTEMPT_LABEL) for one in pods]
    yield from (f"deleted a pod of attempt {one}, whose end is not recorded" for one in set(labels) & (known - over))
    open_before = [one.number for one in case.before.attempts if not one.outcome]
    for attempt in {_attempt(body) for body in created} - {None}:
        if any(number < int(attempt or 0) for number in open_before):
            yield f"created attempt {attempt} before the end of {open_before} was recorded"


def the_budget_holds(case: Case) -> Iterator[str]:
    """Restarts are counted, disruptions are not, and no attempt follows when the budget is used up."""
    before, after = case.before, case.after
    most = case.cluster.job["spec"].get("runPolicy", {}).get("maxRestarts", 3)
    if after.restarts > max(most, before.restarts):
        yield f"restarted {after.restarts} times, of {most} allowed"
    if len(after.attempts) == len(before.attempts) + 1 and before.attempts:
        ended = after.attempts[-2]
        fresh = before.attempts[-1].outcome is None
        counted = fresh and ended.outcome in ("Failure", "Hang")
        case.seen["the_budget_holds"] += bool(fresh)
        if after.restarts != before.restarts + counted:
            yield f"{ended.outcome} took {after.restarts - before.restarts} from the budget"
        if ended.outcome in DISRUPTIONS and not fresh:
            yield "an attempt followed one that had been decided already"


def nothing_exists_twice(case: Case) -> Iterator[str]:
    """What exists is not created again."""
    for body in case.decided.create:
        case.seen["nothing_exists_twice"] += 1
        # Groups are not watched: creating one again is how their existence is made sure of.
        if body["kind"] != "PodGroup" and (body["kind"], body["metadata"]["name"]) in case.cluster.objects:
            yield f"{_name(body)} exists already"


def deletions_name_what_was_seen(case: Case) -> Iterator[str]:
    """An object is deleted only by the uid that was seen, and a pod that is already leaving is left alone."""
    for deletion in case.decided.delete:
        case.seen["deletions_name_what_was_seen"] += 1
        if deletion.kind == "FinetuneJob":
            continue
        metadata = case.cluster.objects[deletion.kind, deletion.name]["metadata"]
        if metadata["uid"] != deletion.uid:
            yield f"{deletion} names no uid that exists"
        if "deletionTimestamp" in metadata and deletion.grace != 0:
            yield f"{deletion} is deleted a second time"


def applied_is_done(case: Case) -> Iterator[str]:
    """Planning after applying a plan is a no-op, unless the plan only recorded what the next one acts on."""
    forced = any(deletion.grace == 0 for deletion in case.decided.delete)
    refused = case.cluster.full and any(body["kind"] == "Pod" for body in case.decided.create)
    if not case.decided.acts or case.decided.requeue_after == 0 or forced or refused:
        return
    case.seen["applied_is_done"] += 1
    other = copy.deepcopy(case.cluster)
    other.apply(case.decided)
    again = other.plan()
    if again.acts:
        yield f"{_summary(case.decided)} was followed by {_summary(again)}"


def the_image_is_frozen(case: Case) -> Iterator[str]:
    """Every pod runs the job's frozen image, and one that is frozen with its digest never changes."""
    before, after = case.before.frozen, case.after.frozen
    if before is not None and before.image and "@" in before.image:
        case.seen["the_image_is_frozen"] += bool(case.decided.create)
        if after is None or after.image != before.image:
            yield f"changed {before.image} into {after and after.image}"
    for body in case.decided.create:
        if body["kind"] == "Pod" and after and body["spec"]["containers"][0]["image"] != after.image:
            yield f"{_name(body)} does not run {after.image}"


def silence_is_no_failure(case: Case) -> Iterator[str]:
    """Whether rank 0 tells its progress changes nothing but a condition."""
    cluster, observed = case.cluster, case.cluster.observed()
    if observed.progress_error is None or is_terminal(case.before.conditions):
        return
    case.seen["silence_is_no_failure"] += 1
    told = cluster.planner(cluster.seen_job(), replace(observed, progress_error=None), cluster.now, cluster.settings)
    if (told.create, told.delete) != (case.decided.create, case.decided.delete):
        yield "touched other objects than with progress"
    if (told.status or case.before).attempts != case.after.attempts:
        yield f"ended an attempt because rank 0 did not tell its progress: {case.after.attempts}"


def refusals_pause(case: Case) -> Iterator[str]:
    """After the API server has refused a child, nothing is created for a while."""
    cluster, observed = case.cluster, case.cluster.observed()
    retry = timedelta(seconds=cluster.settings.timing.refusal_retry)
    standing = (one for one in cluster.refusals if not observed.exists(one.kind, one.name))
    if any(cluster.now - one.at < retry for one in standing) and not is_terminal(case.before.conditions):
        case.seen["refusals_pause"] += 1
        if case.decided.create:
            yield f"created {[_name(body) for body in case.decided.create]} right after a refusal"


def preparing_is_bounded(case: Case) -> Iterator[str]:
    """Every further try to prepare is counted, unless the job was suspended, and the count has a bound."""
    before, after = case.before, case.after
    tries = after.restarts + after.prepare_disruptions - before.restarts - before.prepare_disruptions
    retrying = _preparing(after) == "Retrying" != _preparing(before)
    if retrying and "suspended" not in _preparing_message(after):
        case.seen["preparing_is_bounded"] += 1
        if tries != 1:
            yield f"prepares again and counts {tries}"
    if after.prepare_disruptions > case.cluster.settings.fruitless_disruptions:
        yield f"goes on after {after.prepare_disruptions} disruptions"
    if after.prepare_disruptions > case.cluster.made["arc-easy-prepare"]:
        yield f"counts {after.prepare_disruptions} disruptions of {case.cluster.made['arc-easy-prepare']} pods"


LAWS: tuple[Law, ...] = (
    hands_off,
    terminal_is_terminal,
    children_are_owned,
    pods_are_restricted,
    rendering_is_stable,
    attempts_do_not_overlap,
    status_comes_first,
    the_budget_holds,
    nothing_exists_twice,
    deletions_name_what_was_seen,
    applied_is_done,
    the_image_is_frozen,
    silence_is_no_failure,
    refusals_pause,
    preparing_is_bounded,
    *ATTEMPT_LAWS,
)


def check(cluster: FakeCluster, seen: Counter[str], laws: Sequence[Law] = LAWS) -> Plan:
    """Plan once, hold the plan against `laws`, and return it; raises LawBroken."""
    case = Case(cluster, cluster.status, cluster.plan(), seen)
    for law in laws:
        for breach in law(case):
            raise LawBroken(f"{law.__name__}: {breach}")
    return case.decided


def _summary(decided: Plan) -> str:
    created = [_name(body) for body in decided.create]
    status = decided.status.to_json() if decided.status else None
    return f"create {created}, delete {decided.delete}, status {status}"


def _bytes(bodies: tuple[Body, ...]) -> str:
    return json.dumps(bodies)


def _name(body: Body) -> str:
    return f"{body['kind']}/{body['metadata']['name']}"


def _preparing(status: JobStatus) -> str:
    condition = condition_of(status.conditions, ConditionType.DATASET_PREPARED)
    return condition.reason if condition else ""


def _preparing_message(status: JobStatus) -> str:
    condition = condition_of(status.conditions, ConditionType.DATASET_PREPARED)
    return condition.message if condition else ""


def _attempt(body: Body) -> str | None:
    attempt: str | None = body["metadata"]["labels"].get(ATTEMPT_LABEL)
    return attempt
