"""Plans with one mistake each: every one of them has to break a law."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from finetune_api.reasons import TERMINAL
from finetune_api.status import is_terminal
from finetune_operator.decision import Deletion, Plan
from finetune_operator.observed import Observed, SeenJob
from finetune_operator.plan import plan
from finetune_operator.settings import Settings
from finetune_operator.view import amended
from support.fake_cluster import Body
from support.plan_case import Mutation
from support.plan_laws import (
    applied_is_done,
    attempts_do_not_overlap,
    children_are_owned,
    deletions_name_what_was_seen,
    hands_off,
    nothing_exists_twice,
    pods_are_restricted,
    preparing_is_bounded,
    refusals_pause,
    rendering_is_stable,
    silence_is_no_failure,
    status_comes_first,
    terminal_is_terminal,
    the_budget_holds,
    the_image_is_frozen,
)


def ignores_deletion(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Goes on with a job that is being deleted."""
    return plan(replace(job, deleting=False), observed, now, settings)


def ignores_managed_by(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Takes jobs of other controllers."""
    return plan(replace(job, managed_by=None), observed, now, settings)


def runs_finished_jobs_again(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Forgets that a job is over."""
    if not is_terminal(job.status.conditions):
        return plan(job, observed, now, settings)
    kept = tuple(one for one in job.status.conditions if one.type not in TERMINAL)
    return plan(replace(job, status=amended(job.status, conditions=kept)), observed, now, settings)


def forgets_owners(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Creates children that outlive their job."""
    return _with_bodies(plan(job, observed, now, settings), lambda body: body["metadata"].pop("ownerReferences", None))


def may_write_root(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Lets containers write their root filesystem."""

    def loosen(body: Body) -> None:
        for container in body["spec"].get("containers", []):
            container["securityContext"]["readOnlyRootFilesystem"] = False

    return _with_bodies(plan(job, observed, now, settings), loosen, kinds=("Pod",))


def gives_secrets_to_training(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Shows the hub's token to the user's code."""

    def leak(body: Body) -> None:
        body["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "token"}}]

    return _with_bodies(plan(job, observed, now, settings), leak, kinds=("Pod",))


def stamps_the_time(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Writes the time into what it creates."""

    def stamp(body: Body) -> None:
        body["metadata"].setdefault("annotations", {})["created"] = now.isoformat()

    return _with_bodies(plan(job, observed, now, settings), stamp)


def overlaps_attempts(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Does not look at the pods of earlier attempts."""
    newest = max((one.number for one in job.status.attempts), default=0)
    return plan(job, replace(observed, pods=observed.of_attempt(newest)), now, settings)


def deletes_before_it_records(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Deletes the survivors in the plan that records the failure."""
    decided = plan(job, observed, now, settings)
    before = {one.number for one in job.status.attempts if one.outcome}
    after = decided.status.attempts if decided.status else ()
    ended = {one.number for one in after if one.outcome} - before
    doomed = [pod for pod in observed.pods if pod.attempt in ended and not pod.deleting and not pod.gone]
    return replace(decided, delete=(*decided.delete, *(Deletion("Pod", pod.name, pod.uid) for pod in doomed)))


def starts_before_it_records(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Creates the next attempt in the plan that records the end of the last."""
    decided = plan(job, observed, now, settings)
    if decided.status is None or not job.status.attempts or is_terminal(decided.status.conditions):
        return decided
    then = plan(replace(job, status=decided.status), observed, now, settings)
    return replace(decided, create=then.create, delete=then.delete, status=then.status or decided.status)


def restarts_for_ever(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Never counts a restart."""
    decided = plan(job, observed, now, settings)
    return replace(decided, status=decided.status and amended(decided.status, restarts=job.status.restarts))


def counts_disruptions(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Takes what the cluster did from the budget of the job."""
    decided = plan(job, observed, now, settings)
    if decided.status is None or len(decided.status.attempts) <= max(1, len(job.status.attempts)):
        return decided
    return replace(decided, status=amended(decided.status, restarts=job.status.restarts + 1))


def writes_status_always(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Finds something new to say in every plan."""
    decided = plan(job, observed, now, settings)
    if not decided.acts and not job.status.conditions:
        return decided
    status = decided.status or job.status
    return replace(decided, status=amended(status, active_seconds=job.status.active_seconds + 1))


def creates_what_exists(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Does not see the Service that it has made."""
    kept = tuple(child for child in observed.children if child.kind != "Service")
    return plan(job, replace(observed, children=kept), now, settings)


def deletes_by_name(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Deletes whatever bears the name now."""
    decided = plan(job, observed, now, settings)
    return replace(decided, delete=tuple(replace(one, uid="") for one in decided.delete))


def deletes_again_and_again(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Does not see that pods are leaving already."""
    pods = tuple(replace(pod, deleting=False) for pod in observed.pods)
    return plan(job, replace(observed, pods=pods), now, settings)


def forgets_to_wait(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Takes pods that are leaving for gone."""
    pods = tuple(pod for pod in observed.pods if not pod.deleting)
    return plan(job, replace(observed, pods=pods), now, settings)


def follows_the_tag(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Forgets which image the first pod ran."""
    frozen = job.status.frozen
    if frozen is None:
        return plan(job, observed, now, settings)
    status = amended(job.status, frozen=amended(frozen, image=settings.trainer_image))
    decided = plan(replace(job, status=status), observed, now, settings)
    after = decided.status or status
    return replace(decided, status=None if after == job.status else after)


def takes_silence_for_a_hang(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Restarts a run that does not tell its progress."""
    if observed.progress_error is None:
        return plan(job, observed, now, settings)
    pods = tuple(replace(pod, phase="Failed", exit_code=1) if pod.running else pod for pod in observed.pods)
    return plan(job, replace(observed, pods=pods), now, settings)


def hammers_the_api_server(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Tries again at once what was refused."""
    return plan(job, replace(observed, refusals=()), now, settings)


def prepares_for_ever(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Does not count how often preparing was disrupted."""
    decided = plan(job, observed, now, settings)
    return replace(decided, status=decided.status and amended(decided.status, prepare_disruptions=0))


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(hands_off, ignores_deletion),
    Mutation(hands_off, ignores_managed_by),
    Mutation(terminal_is_terminal, runs_finished_jobs_again),
    Mutation(children_are_owned, forgets_owners),
    Mutation(pods_are_restricted, may_write_root),
    Mutation(pods_are_restricted, gives_secrets_to_training),
    Mutation(rendering_is_stable, stamps_the_time),
    Mutation(attempts_do_not_overlap, overlaps_attempts),
    Mutation(attempts_do_not_overlap, forgets_to_wait),
    Mutation(status_comes_first, deletes_before_it_records),
    Mutation(status_comes_first, starts_before_it_records),
    Mutation(the_budget_holds, restarts_for_ever),
    Mutation(the_budget_holds, counts_disruptions),
    Mutation(applied_is_done, writes_status_always),
    Mutation(nothing_exists_twice, creates_what_exists),
    Mutation(deletions_name_what_was_seen, deletes_by_name),
    Mutation(deletions_name_what_was_seen, deletes_again_and_again),
    Mutation(the_image_is_frozen, follows_the_tag),
    Mutation(silence_is_no_failure, takes_silence_for_a_hang),
    Mutation(refusals_pause, hammers_the_api_server),
    Mutation(preparing_is_bounded, prepares_for_ever),
)


def _with_bodies(decided: Plan, change: Callable[[Body], Any], kinds: tuple[str, ...] = ()) -> Plan:
    bodies = copy.deepcopy(decided.create)
    for body in bodies:
        if not kinds or body["kind"] in kinds:
            change(body)
    return replace(decided, create=bodies)
