"""Begins attempts: never two of them at once, and each with what the first one used."""

from collections.abc import Sequence
from typing import Final

from finetune_api.names import pod_group_name
from finetune_api.reasons import AttemptOutcome, ConditionType
from finetune_api.status import AttemptStatus, condition_of
from finetune_operator.children.gang import gang_of
from finetune_operator.children.training_pods import Terms, build_training_pods
from finetune_operator.decision import Body, Deletion
from finetune_operator.facts import MOST_CLAIM
from finetune_operator.policies.avoidance import nodes_to_avoid
from finetune_operator.policies.backoff import pause
from finetune_operator.policies.elastic import fitting_nodes, next_nodes
from finetune_operator.policies.ending import fail, given_up, with_another
from finetune_operator.policies.grace import grace_of, next_grace
from finetune_operator.policies.removal import removal, until_late
from finetune_operator.policies.waiting import say_waiting, wait_for_code
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended

_NAMED: Final = 3
"""Pods that a sentence names; of more it gives the number."""


def begin(view: View, *, nodes: int | None = None, avoided: tuple[str, ...] | None = None, claimed: int = -1) -> View:
    """Decide that there is a next attempt; its pods follow once this is recorded or nothing was before it.

    `nodes`: fewer than are wanted; `avoided`: nodes without pods of it, unless as for the last; `claimed`: the number
    of an attempt that nobody remembers.
    """
    last, progress, seen = view.attempt, view.status.progress, _newest_seen(view)
    first_step = (progress.last_checkpoint_step if progress else None) or 0
    # One that is all there, of a job that lost its status, is taken over.
    found = None if last else _nodes_of(view, seen)
    attempt = AttemptStatus(
        number=seen if found else max(last.number if last else -1, claimed, seen) + 1,
        nodes=nodes or found or next_nodes(view),
        # One with more nodes than are wanted now saves and leaves; one with fewer grows at its next restart.
        wanted_nodes=max(view.spec.nodes, found or 0),
        grace_seconds=next_grace(view),
        avoided_nodes=(nodes_to_avoid(view) if avoided is None else avoided) or None,
        first_step=first_step if last else 0,
    )
    return with_another(view, attempt)


def _newest_seen(view: View) -> int:
    """The newest attempt that has pods: the status may have been lost while it ran."""
    numbers = [pod.attempt for pod in view.observed.pods if pod.attempt is not None]
    return max((number for number in numbers if number < MOST_CLAIM), default=-1)


def _nodes_of(view: View, attempt: int) -> int | None:
    """The number of nodes of an attempt that is all there; None for one that is not.

    Pods do not tell how many they are. Where they are not as many as there would be now, as of an elastic job that goes
    on with what nodes it got, those that run are believed: if some had been lost, the others would soon end too.
    """
    pods = [pod for pod in view.observed.of_attempt(attempt) if not pod.gone and not pod.deleting]
    nodes = len(pods)
    if {pod.rank for pod in pods} != set(range(nodes)):
        return None
    run = all(pod.running for pod in pods) and fitting_nodes(view, nodes) == nodes
    return nodes if run or nodes == next_nodes(view) else None


def launch(view: View, attempt: AttemptStatus) -> View:
    """Create the pods that the attempt lacks, once nothing of other attempts can run any more."""
    others = [pod for pod in view.observed.pods if pod.attempt != attempt.number]
    blocking = in_the_way(view, attempt)
    view = view.deleting([*_removals(view, attempt, others), *_old_groups(view, attempt, others)])
    if blocking:
        return _held_up(view, attempt, blocking).stop()
    pods = view.observed.of_attempt(attempt.number)
    left = 0.0 if pods else _backoff_left(view)
    if left > 0:
        return _pausing(view).again_after(left).stop()
    view = view.with_attempt(amended(attempt, start_time=attempt.start_time or view.now))
    complete = len(pods) == attempt.nodes
    if view.blocked and not complete:
        return view.stop()
    if not pods:
        if view.spec.code and view.observed.code_sha256 is None:
            return wait_for_code(view, view.spec.code.config_map.name)
        if view.spec.code and view.observed.code_sha256 != view.frozen.code_sha256:
            return fail(view, "CodeChanged", name=view.spec.code.config_map.name)
        view = view.creating(*_group(view, attempt))
    view = view if complete else view.creating(*_absent(view, attempt, pods))
    ready = sum(pod.running for pod in pods)
    facts = {"attempt": attempt.number, "ready": ready, "nodes": attempt.nodes}
    return say_waiting(view, ConditionType.RUNNING, pods, "Starting", complete=complete, **facts).stop()


def in_the_way(view: View, attempt: AttemptStatus) -> list[SeenPod]:
    """Return the pods of other attempts that may run on nodes that work: nothing is begun beside them."""
    others = [pod for pod in view.observed.pods if pod.attempt != attempt.number]
    return [pod for pod in others if not pod.terminal and not view.observed.lost(pod)]


def _held_up(view: View, attempt: AttemptStatus, blocking: Sequence[SeenPod]) -> View:
    """Name the pods that should have ended and have not."""
    late = [pod for pod in blocking if until_late(view, pod) <= 0]
    if late:
        view = view.say(ConditionType.RUNNING, "PodsTerminating", attempt=attempt.number, pods=_named(late))
    left = [seconds for pod in blocking if (seconds := until_late(view, pod)) > 0]
    return view.again_after(min(left)) if left else view


def _named(pods: Sequence[SeenPod]) -> str:
    names = [f"{pod.name} on node {pod.node}" if pod.node else pod.name for pod in pods[:_NAMED]]
    more = len(pods) - _NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _pausing(view: View) -> View:
    """Say no longer that pods are in the way when only the pause between attempts is left."""
    said = condition_of(view.status.conditions, ConditionType.RUNNING)
    before = view.status.attempts[-2] if len(view.status.attempts) > 1 else None
    if before is None or said is None or said.reason != "PodsTerminating":
        return view
    return view.say(ConditionType.RUNNING, "Restarting", attempt=before.number, message=before.message or "")


def _absent(view: View, attempt: AttemptStatus, pods: Sequence[SeenPod]) -> list[Body]:
    names = {pod.name for pod in pods}
    terms = Terms(grace_of(view, attempt), attempt.avoided_nodes or ())
    bodies = build_training_pods(view.plans, attempt.number, attempt.nodes, terms)
    return [body for body in bodies if body["metadata"]["name"] not in names]


def _group(view: View, attempt: AttemptStatus) -> list[Body]:
    """What the pods are members of. It may never be seen, where its kind is not watched."""
    group = gang_of(view.plans, attempt.number, attempt.nodes).group
    return [group] if group and not view.observed.has(group["kind"], group["metadata"]["name"]) else []


def _removals(view: View, attempt: AttemptStatus, others: list[SeenPod]) -> list[Deletion]:
    """What of other attempts is deleted: all that may still run, and the ended of all but the last."""
    kept = attempt.number - 1
    return [
        deletion
        for pod in others
        if not pod.gone and not (pod.terminal and pod.attempt == kept) and (deletion := removal(view, pod))
    ]


def _old_groups(view: View, attempt: AttemptStatus, others: list[SeenPod]) -> list[Deletion]:
    """The groups of attempts before the last of which no pod is left: each attempt makes one."""
    there = {pod_group_name(view.job.name, pod.attempt) for pod in others if not pod.gone and pod.attempt is not None}
    groups = [one for one in view.observed.children if one.kind == "PodGroup" and not one.deleting]
    return [
        Deletion(one.kind, one.name, one.uid)
        for one in groups
        if one.name not in there and _group_number(view, one.name) < attempt.number - 1
    ]


def _group_number(view: View, name: str) -> int:
    """The attempt whose group bears this name; of another's name, one that never is."""
    number = name.removeprefix(f"{view.job.name}-")
    return int(number) if number.isascii() and number.isdigit() else MOST_CLAIM


def _backoff_left(view: View) -> float:
    ended = [one for one in view.status.attempts if one.outcome is not None and one.end_time is not None]
    if not ended or ended[-1].end_time is None or ended[-1].outcome is AttemptOutcome.SUSPENDED:
        return 0.0
    if given_up(ended[-1]):
        return 0.0
    passed = view.since(ended[-1].end_time)
    # An end in the future is one by the clock of another leader, and how long ago it was nobody knows.
    return pause(view) - passed if passed >= 0 else 0.0
