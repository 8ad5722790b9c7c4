"""Plans that treat attempts wrongly, in one way each: every one of them has to break a law."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from finetune_api.reasons import AttemptOutcome
from finetune_api.status import AttemptStatus, JobStatus
from finetune_operator.decision import Event, Plan
from finetune_operator.observed import Observed, SeenJob
from finetune_operator.plan import plan
from finetune_operator.settings import Settings
from finetune_operator.view import amended
from support.attempt_laws import (
    an_end_stands,
    bad_nodes_are_avoided,
    counters_never_fall,
    every_transition_is_told_once,
    free_restarts_end,
    grace_is_granted,
    no_job_is_stuck_by_its_size,
    numbers_grow,
    only_a_change_of_mind_resizes,
    sizes_are_allowed,
    those_asked_to_leave_may_save,
)
from support.fake_cluster import Body
from support.plan_case import Mutation


def resets_the_counter(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Gives a job its whole budget again when it trains."""
    decided = plan(job, observed, now, settings)
    trains = any(event.reason == "Training" for event in decided.events)
    return _with_status(decided, lambda status: amended(status, restarts=0)) if trains else decided


def begins_again(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Lets a job begin to run with every attempt."""
    decided = plan(job, observed, now, settings)
    return _with_status(decided, lambda status: amended(status, running_time=status.running_time and now))


def uses_numbers_again(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Gives the next attempt the number of the last."""
    return _with_newest(
        job, plan(job, observed, now, settings), lambda one: amended(one, number=max(0, one.number - 1))
    )


def never_gives_up(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Begins again however often attempts were cut short."""
    return plan(job, observed, now, replace(settings, fruitless_disruptions=1000))


def rewrites_history(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Makes failures out of all ends but the last."""

    def blame(status: JobStatus) -> JobStatus:
        *earlier, last = status.attempts or (None,)
        blamed = tuple(amended(one, outcome=AttemptOutcome.FAILURE) for one in earlier if one is not None)
        return amended(status, attempts=(*blamed, last)) if last is not None else status

    return _with_status(plan(job, observed, now, settings), blame)


def is_content_with_less(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Takes the nodes that an attempt has for those that are wanted, once it trains."""
    decided = plan(job, observed, now, settings)
    trains = any(event.reason == "Training" for event in decided.events)

    def content(status: JobStatus) -> JobStatus:
        return amended(status, attempts=tuple(amended(one, wanted_nodes=one.nodes) for one in status.attempts))

    return _with_status(decided, content) if trains else decided


def repeats_itself(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Tells again how the last attempt ended when the next one runs."""
    decided = plan(job, observed, now, settings)
    again = any(event.reason == "Training" for event in decided.events)
    return replace(decided, events=(*decided.events, Event("AttemptEnded", "once more"))) if again else decided


def forgets_to_tell(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Says nothing of attempts."""
    decided = plan(job, observed, now, settings)
    return replace(decided, events=tuple(one for one in decided.events if not one.reason.startswith("Attempt")))


def forgets_slow_saves(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Gives every attempt what the job asks for, however long its saves took."""
    return _with_newest(job, plan(job, observed, now, settings), lambda one: amended(one, grace_seconds=120))


def cuts_the_grace_short(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Creates pods that are killed after thirty seconds."""

    def cut(body: Body) -> None:
        body["spec"]["terminationGracePeriodSeconds"] = 30

    return _with_pods(plan(job, observed, now, settings), cut)


def forgets_bad_nodes(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Keeps the job's affinity, and nothing but that."""
    return _with_pods(plan(job, observed, now, settings), lambda body: body["spec"].pop("affinity", None))


def avoids_in_one_term_alone(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Adds what is avoided to the first of a job's own terms, of which any one lets a pod in."""

    def loosen(body: Body) -> None:
        required = body["spec"].get("affinity", {}).get("nodeAffinity", {})
        for terms in (part["nodeSelectorTerms"] for part in required.values()):
            for term in terms[1:]:
                term.pop("matchFields", None)

    return _with_pods(plan(job, observed, now, settings), loosen)


def avoids_for_ever(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Tries again and again to do without the nodes that it cannot do without."""
    decided = plan(job, observed, now, settings)
    before = job.status.attempts[-1] if job.status.attempts else None
    known = before.avoided_nodes if before else None
    return _with_newest(job, decided, lambda one: amended(one, avoided_nodes=known or one.avoided_nodes))


def shrinks_below_the_least(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Goes on with whatever there is."""
    return _with_newest(job, plan(job, observed, now, settings), lambda one: amended(one, nodes=3))


def grows_at_once(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Restarts an attempt because it is smaller than it could be."""
    attempts = tuple(amended(one, wanted_nodes=one.nodes) if one.reason is None else one for one in job.status.attempts)
    before = replace(job, status=amended(job.status, attempts=attempts))
    decided = plan(before, observed, now, settings)
    wanted = {one.number: one.wanted_nodes for one in job.status.attempts}

    def back(one: AttemptStatus) -> AttemptStatus:
        # What the plan itself has made of it stands.
        return amended(one, wanted_nodes=wanted.get(one.number)) if one.wanted_nodes == one.nodes else one

    def restore(status: JobStatus) -> JobStatus:
        return amended(status, attempts=tuple(back(one) if one.number in wanted else one for one in status.attempts))

    restored = _with_status(decided, restore)
    return replace(restored, status=None if restored.status == job.status else restored.status)


def kills_those_that_save(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Asks pods to leave, and does not wait for them."""
    decided = plan(job, observed, now, settings)
    return replace(decided, delete=tuple(replace(one, grace=5) for one in decided.delete))


ATTEMPT_MUTATIONS: tuple[Mutation, ...] = (
    Mutation(counters_never_fall, resets_the_counter),
    Mutation(counters_never_fall, begins_again),
    Mutation(numbers_grow, uses_numbers_again),
    Mutation(an_end_stands, rewrites_history),
    Mutation(an_end_stands, is_content_with_less),
    Mutation(every_transition_is_told_once, repeats_itself),
    Mutation(every_transition_is_told_once, forgets_to_tell),
    Mutation(grace_is_granted, forgets_slow_saves),
    Mutation(grace_is_granted, cuts_the_grace_short),
    Mutation(bad_nodes_are_avoided, forgets_bad_nodes),
    Mutation(bad_nodes_are_avoided, avoids_in_one_term_alone),
    Mutation(no_job_is_stuck_by_its_size, avoids_for_ever),
    Mutation(sizes_are_allowed, shrinks_below_the_least),
    Mutation(only_a_change_of_mind_resizes, grows_at_once),
    Mutation(those_asked_to_leave_may_save, kills_those_that_save),
    Mutation(free_restarts_end, never_gives_up),
)


def _with_status(decided: Plan, change: Callable[[JobStatus], JobStatus]) -> Plan:
    return replace(decided, status=decided.status and change(decided.status))


def _with_newest(job: SeenJob, decided: Plan, change: Callable[[AttemptStatus], AttemptStatus]) -> Plan:
    """Change an attempt that follows another, in the plan that decides on it."""
    known = {one.number for one in job.status.attempts}

    def changed(status: JobStatus) -> JobStatus:
        if not known or not status.attempts or status.attempts[-1].number in known:
            return status
        return amended(status, attempts=(*status.attempts[:-1], change(status.attempts[-1])))

    return _with_status(decided, changed)


def _with_pods(decided: Plan, change: Callable[[Body], object]) -> Plan:
    bodies = copy.deepcopy(decided.create)
    for body in (body for body in bodies if body["kind"] == "Pod"):
        change(body)
    return replace(decided, create=bodies)
