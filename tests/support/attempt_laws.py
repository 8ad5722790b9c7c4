"""Laws of attempts and of what is remembered of them, each a check of one plan against the cluster it was made for."""

from collections import Counter
from collections.abc import Iterator

from finetune_api.config import parse_training_config
from finetune_api.job import load_job
from finetune_api.names import ATTEMPT_LABEL
from finetune_api.reasons import COUNTED, ConditionType
from finetune_api.status import AttemptStatus, condition_of
from finetune_operator.children.blueprint import processes_per_node
from support.fake_cluster import Body, avoided
from support.plan_case import Case, Law

_CUT_SHORT = ("Disruption", "NodeLoss")
_ONCE = ("start_time", "running_time", "completion_time")
_COUNTERS = ("restarts", "prepare_disruptions", "active_seconds")
_DECIDED = ("nodes", "wanted_nodes", "grace_seconds", "avoided_nodes")
_ENDED = (*_DECIDED, "start_time", "running_time", "end_time", "outcome", "reason", "message")


def counters_never_fall(case: Case) -> Iterator[str]:
    """What was counted is never taken back, and what happened once keeps its time."""
    case.seen["counters_never_fall"] += bool(case.before.restarts)
    for name in _COUNTERS:
        if getattr(case.after, name) < getattr(case.before, name):
            yield f"{name} fell from {getattr(case.before, name)} to {getattr(case.after, name)}"
    for name in _ONCE:
        known = getattr(case.before, name)
        if known is not None and getattr(case.after, name) != known:
            yield f"{name} moved from {known} to {getattr(case.after, name)}"


def numbers_grow(case: Case) -> Iterator[str]:
    """Each attempt has a larger number than all before it, and only the oldest are forgotten."""
    numbers = [one.number for one in case.after.attempts]
    known = [one.number for one in case.before.attempts]
    case.seen["numbers_grow"] += len(numbers) > 1
    if numbers != sorted(set(numbers)):
        yield f"attempts are numbered {numbers}"
    fresh = [number for number in numbers if number not in known]
    if known and any(number < known[-1] for number in fresh):
        yield f"attempts {fresh} follow {known}"
    if (known + fresh)[-len(numbers) :] != numbers:
        yield f"{known} became {numbers}"


def an_end_stands(case: Case) -> Iterator[str]:
    """How an attempt ended, and what it was granted, never changes; later attempts may credit it with a checkpoint.

    What is wanted of an open one follows the job when that comes to the nodes that it has.
    """
    wanted_now = case.cluster.job["spec"].get("nodes")
    after = {one.number: one for one in case.after.attempts}
    for attempt in case.before.attempts:
        now = after.get(attempt.number, attempt)
        case.seen["an_end_stands"] += attempt.outcome is not None
        for name in _DECIDED if attempt.outcome is None else _ENDED:
            follows = name == "wanted_nodes" and attempt.outcome is None and now.wanted_nodes == wanted_now
            if getattr(now, name) != getattr(attempt, name) and not (follows and now.reason != "Resizing"):
                yield f"{name} of attempt {attempt.number} became {getattr(now, name)!r}"
        if attempt.outcome is not None and (now.checkpoint_step or 0) < (attempt.checkpoint_step or 0):
            yield f"attempt {attempt.number} lost its checkpoint"


def every_transition_is_told_once(case: Case) -> Iterator[str]:
    """Each Event belongs to something that this plan changes, and to one thing only."""
    before = {one.number: one for one in case.before.attempts}
    begun = [one for one in case.after.attempts if one.number not in before]
    over = [one for one in case.after.attempts if one.outcome and not _ended(before.get(one.number))]
    expected = Counter({"AttemptStarted": len(begun), "AttemptEnded": len(over)})
    expected.update(one.reason for one in case.after.conditions if _news(case, one.type))
    expected["ConfigKeysIgnored"] += case.before.frozen is None
    expected["ChildrenDeleted"] += bool(case.decided.delete)
    expected["JobDeleted"] += any(one.kind == "FinetuneJob" for one in case.decided.delete)
    case.seen["every_transition_is_told_once"] += bool(begun or over)
    told = Counter(event.reason for event in case.decided.events)
    if told - expected:
        yield f"told {dict(told - expected)} without a cause"
    if told["AttemptStarted"] != len(begun) or told["AttemptEnded"] != len(over):
        yield f"told {dict(told)} of {len(begun)} attempts begun and {len(over)} ended"


def grace_is_granted(case: Case) -> Iterator[str]:
    """Pods have the grace of their attempt: never less than the job asks for, nor than the attempt before had."""
    least = case.cluster.job["spec"].get("runPolicy", {}).get("gracePeriodSeconds", 120)
    graces = [one.grace_seconds for one in case.after.attempts]
    case.seen["grace_is_granted"] += len(set(graces)) > 1
    if any(grace is None or not least <= grace <= 3600 for grace in graces) or graces != sorted(graces, key=int):  # type: ignore[arg-type]
        yield f"attempts have {graces} s, and the job asks for {least}"
    for attempt, body in _created(case):
        command = body["spec"]["containers"][0]["command"]
        told, given = float(command[command.index("--grace") + 1]), body["spec"]["terminationGracePeriodSeconds"]
        if given != attempt.grace_seconds or told >= given:
            yield f"{body['metadata']['name']} has {given} s, its run {told}"


def bad_nodes_are_avoided(case: Case) -> Iterator[str]:
    """No pod may be placed on a node that its attempt avoids, whatever affinity the job has, and on any other."""
    for attempt, body in _created(case):
        wanted = set(attempt.avoided_nodes or ())
        case.seen["bad_nodes_are_avoided"] += bool(wanted)
        if avoided(body) != wanted:
            yield f"{body['metadata']['name']} avoids {avoided(body)} in the place of {wanted}"


def no_job_is_stuck_by_its_size(case: Case) -> Iterator[str]:
    """After an attempt that found no room comes a smaller one, or one that avoids fewer nodes."""
    for ended, follower in zip(case.after.attempts, case.after.attempts[1:], strict=False):
        if ended.reason == "Unplaceable":
            case.seen["no_job_is_stuck_by_its_size"] += 1
            avoided_now, avoided_then = set(follower.avoided_nodes or ()), set(ended.avoided_nodes or ())
            if follower.nodes >= ended.nodes and not avoided_now < avoided_then:
                yield f"attempt {follower.number} is as large as the one before, and avoids {follower.avoided_nodes}"


def sizes_are_allowed(case: Case) -> Iterator[str]:
    """An attempt has as many nodes as the job asks for; an elastic one a number that shares the batch."""
    known = {one.number for one in case.before.attempts}
    for attempt in case.after.attempts:
        if attempt.number in known:
            continue
        spec = load_job(_document(case)).spec
        if spec.elastic is None:
            fits = attempt.nodes == spec.nodes
        else:
            case.seen["sizes_are_allowed"] += attempt.nodes < spec.nodes
            rows = parse_training_config(spec.config).config.global_train_batch_size
            fits = spec.elastic.min_nodes <= attempt.nodes <= spec.elastic.max_nodes
            fits &= attempt.nodes <= spec.nodes and rows % (attempt.nodes * processes_per_node(spec)) == 0
        if not fits or attempt.wanted_nodes != spec.nodes:
            yield f"attempt {attempt.number} has {attempt.nodes} nodes, and the job {spec.nodes}"


def only_a_change_of_mind_resizes(case: Case) -> Iterator[str]:
    """An attempt is asked to leave for another number of nodes only when the wanted number has changed since."""
    before = {one.number: one.reason for one in case.before.attempts}
    for attempt in case.after.attempts:
        if attempt.reason == "Resizing" != before.get(attempt.number):
            case.seen["only_a_change_of_mind_resizes"] += 1
            if attempt.wanted_nodes == case.cluster.job["spec"]["nodes"]:
                yield f"attempt {attempt.number} is drained though {attempt.wanted_nodes} nodes are still wanted"


def those_asked_to_leave_may_save(case: Case) -> Iterator[str]:
    """Pods of an attempt in which every rank is alive have its whole grace; what was asked of them is not counted."""
    asked = {str(one.number): one for one in case.before.attempts if one.reason in ("Suspending", "Resizing")}
    for deletion in case.decided.delete:
        labels = case.cluster.pod(deletion.name)["metadata"]["labels"] if deletion.kind == "Pod" else {}
        if labels.get(ATTEMPT_LABEL) in asked:
            case.seen["those_asked_to_leave_may_save"] += 1
            if deletion.grace is not None:
                yield f"{deletion.name} has only {deletion.grace} s to save"
    ends = {one.number: one.outcome for one in case.after.attempts}
    for attempt in asked.values():
        if case.after.restarts > case.before.restarts and ends.get(attempt.number) not in COUNTED:
            yield f"attempt {attempt.number} was asked to leave, and that is counted"


def free_restarts_end(case: Case) -> Iterator[str]:
    """No attempt follows when as many as the settings say were cut short in a row, with no checkpoint between them."""
    streak = 0
    for attempt in case.after.attempts:
        if attempt.outcome is None:
            case.seen["free_restarts_end"] += streak > 2
            if streak >= case.cluster.settings.fruitless_disruptions:
                yield f"attempt {attempt.number} follows {streak} that were cut short"
        elif (attempt.checkpoint_step or 0) > (attempt.first_step or 0):
            streak = 0
        elif attempt.outcome != "Cancelled":
            streak = streak + 1 if attempt.outcome in _CUT_SHORT else 0


ATTEMPT_LAWS: tuple[Law, ...] = (
    counters_never_fall,
    numbers_grow,
    an_end_stands,
    every_transition_is_told_once,
    grace_is_granted,
    bad_nodes_are_avoided,
    no_job_is_stuck_by_its_size,
    sizes_are_allowed,
    only_a_change_of_mind_resizes,
    those_asked_to_leave_may_save,
    free_restarts_end,
)


def _ended(attempt: AttemptStatus | None) -> bool:
    return attempt is not None and attempt.outcome is not None


def _news(case: Case, kind: str) -> bool:
    known = condition_of(case.before.conditions, ConditionType(kind))
    now = condition_of(case.after.conditions, ConditionType(kind))
    return now is not None and (known is None or (known.status, known.reason) != (now.status, now.reason))


def _created(case: Case) -> Iterator[tuple[AttemptStatus, Body]]:
    """Training pods that the plan creates, with their attempts."""
    attempts = {str(one.number): one for one in case.after.attempts}
    for body in case.decided.create:
        number = body["metadata"]["labels"].get(ATTEMPT_LABEL)
        if body["kind"] == "Pod" and number is not None:
            yield attempts[number], body


def _document(case: Case) -> Body:
    return {key: value for key, value in case.cluster.job.items() if key != "status"}
