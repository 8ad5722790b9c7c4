"""Begins attempts: never two of them at once, and each with what the first one used."""

from collections.abc import Sequence

from finetune_api.reasons import AttemptOutcome, ConditionType
from finetune_api.status import AttemptStatus
from finetune_operator.children.gang import gang_of
from finetune_operator.children.training_pods import Terms, build_training_pods
from finetune_operator.decision import Body, Deletion
from finetune_operator.facts import MOST_CLAIM
from finetune_operator.policies.avoidance import nodes_to_avoid
from finetune_operator.policies.backoff import backoff
from finetune_operator.policies.elastic import next_nodes
from finetune_operator.policies.ending import fail, fruitless_attempts, given_up, with_another
from finetune_operator.policies.grace import grace_of, next_grace
from finetune_operator.policies.removal import removal
from finetune_operator.policies.waiting import say_waiting, wait_for_code
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended


def begin(view: View, *, nodes: int | None = None, avoided: tuple[str, ...] | None = None, claimed: int = -1) -> View:
    """Decide that there is a next attempt; its pods follow once this is recorded or nothing was before it.

    `nodes`: fewer than are wanted; `avoided`: nodes without pods of it, unless as for the last; `claimed`: the number
    of an attempt that nobody remembers.
    """
    last, progress = view.attempt, view.status.progress
    first_step = (progress.last_checkpoint_step if progress else None) or 0
    attempt = AttemptStatus(
        number=_number(view, claimed),
        nodes=nodes or next_nodes(view),
        wanted_nodes=view.spec.nodes,
        grace_seconds=next_grace(view),
        avoided_nodes=(nodes_to_avoid(view) if avoided is None else avoided) or None,
        first_step=first_step if last else 0,
    )
    return with_another(view, attempt)


def _number(view: View, claimed: int) -> int:
    """One more than any known; but an attempt that is all there, of a job that lost its status, is taken over."""
    last, seen = view.attempt, _newest_seen(view)
    if last is None and _is_whole(view, seen):
        return seen
    return max(last.number if last else -1, claimed, seen) + 1


def _newest_seen(view: View) -> int:
    """The newest attempt that has pods: the status may have been lost while it ran."""
    numbers = [pod.attempt for pod in view.observed.pods if pod.attempt is not None]
    return max((number for number in numbers if number < MOST_CLAIM), default=-1)


def _is_whole(view: View, attempt: int) -> bool:
    pods = [pod for pod in view.observed.of_attempt(attempt) if not pod.gone and not pod.deleting]
    return {pod.rank for pod in pods} == set(range(next_nodes(view)))


def launch(view: View, attempt: AttemptStatus) -> View:
    """Create the pods that the attempt lacks, once nothing of other attempts can run any more."""
    others = [pod for pod in view.observed.pods if pod.attempt != attempt.number]
    blocking = [pod for pod in others if not pod.terminal and not view.observed.lost(pod)]
    view = view.deleting(_removals(view, attempt, others))
    if blocking:
        return view.stop()
    pods = view.observed.of_attempt(attempt.number)
    left = 0.0 if pods else _backoff_left(view)
    if left > 0:
        return view.again_after(left).stop()
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


def _backoff_left(view: View) -> float:
    ended = [one for one in view.status.attempts if one.outcome is not None and one.end_time is not None]
    if not ended or ended[-1].end_time is None or ended[-1].outcome is AttemptOutcome.SUSPENDED:
        return 0.0
    if given_up(ended[-1]):
        return 0.0
    return backoff(fruitless_attempts(view), view.settings.timing) - view.since(ended[-1].end_time)
