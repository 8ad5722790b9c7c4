"""All decisions about a job, in one pure function: values in, a value out."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from finetune_api.names import MANAGER
from finetune_api.status import is_terminal, state_of
from finetune_operator.decision import Plan
from finetune_operator.events import events_between
from finetune_operator.observed import Observed, SeenJob
from finetune_operator.policies.accept import accept
from finetune_operator.policies.attempt import attempt
from finetune_operator.policies.deadlines import deadlines
from finetune_operator.policies.finished import finished
from finetune_operator.policies.obstacles import obstacles, refused
from finetune_operator.policies.pinning import pin
from finetune_operator.policies.prepare import prepare
from finetune_operator.policies.resize import resize
from finetune_operator.policies.support import support
from finetune_operator.policies.suspend import suspend
from finetune_operator.settings import Settings
from finetune_operator.view import View

Policy = Callable[[View], View]

POLICIES: Final[tuple[Policy, ...]] = (accept, pin, deadlines, suspend, resize, obstacles, support, prepare, attempt)
"""Asked in this order, each seeing what those before it decided, until one has the last word."""


def plan(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> Plan:
    """Decide what to do about `job`; apply the status first, and nothing else if that write fails.

    A plan that records how an attempt ended touches no pod, and asks to be made again at once.
    """
    if job.deleting or job.managed_by not in (None, MANAGER):
        return Plan()
    view = View(job, observed, now.replace(microsecond=0), settings, status=job.status)
    if is_terminal(job.status.conditions):
        return _conclude(finished(view))
    for policy in POLICIES:
        view = policy(view)
        if view.done:
            break
    if view.create and refused(view.status):
        # What these creates answer decides whether the obstacle still stands.
        view = view.again_after(0)
    return _conclude(view.report(observed_generation=job.generation, state=state_of(view.status.conditions)))


def _conclude(view: View) -> Plan:
    changed = view.status != view.recorded
    return Plan(
        create=view.create,
        delete=view.delete,
        status=view.status if changed else None,
        events=(*view.events, *events_between(view.recorded, view.status)),
        requeue_after=view.requeue_after,
    )
