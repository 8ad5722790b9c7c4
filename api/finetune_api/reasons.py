"""What a job's conditions and Events say: every type, every CamelCase reason and its sentence, in one table."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from finetune_api.outcomes import Outcome

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """The conditions of a FinetuneJob."""

    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    DATASET_PREPARED = "DatasetPrepared"
    RUNNING = "Running"
    RECONCILING = "Reconciling"
    """kstatus: the job is not yet accepted and prepared; tools that install it wait for this to end."""
    STALLED = "Stalled"
    """kstatus: nothing will happen until a person changes something."""


ALREADY_COMPLETE: Final = "AlreadyComplete"
"""Reason in the termination message of a pod that found the job's finished run in its output."""
PEER_DRAINED: Final = "PeerDrained"
"""Reason in the termination message of a pod that nobody asked to leave: its ranks left with those of one that was."""
TERMINAL: Final = (ConditionType.COMPLETE, ConditionType.FAILED)
"""Once one of these is True the job is over and never runs again."""


class State(StrEnum):
    """One word for the whole job, derived from its conditions."""

    PENDING = "Pending"
    PREPARING = "Preparing"
    STARTING = "Starting"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    STALLED = "Stalled"
    COMPLETE = "Complete"
    FAILED = "Failed"


class AttemptOutcome(StrEnum):
    """What an ended attempt counts as; `AttemptStatus.reason` says it more finely."""

    SUCCEEDED = "Succeeded"
    USER_FAILURE = "UserFailure"
    """A mistake in the job's own inputs: not retried."""
    FAILURE = "Failure"
    """Retried within `maxRestarts`."""
    HANG = "Hang"
    """Retried within `maxRestarts`."""
    DISRUPTION = "Disruption"
    """The cluster took the pods away: retried without touching `maxRestarts`."""
    NODE_LOSS = "NodeLoss"
    """Retried without touching `maxRestarts`."""
    SUSPENDED = "Suspended"
    CANCELLED = "Cancelled"
    """Ended by a deadline, for want of room, for another number of nodes, or as its pods waited in vain for a peer."""


COUNTED: Final = frozenset({AttemptOutcome.FAILURE, AttemptOutcome.HANG})
"""What uses up `maxRestarts`."""


@dataclass(frozen=True)
class Reason:
    """One row of the table."""

    condition: ConditionType | None
    """None: only Events carry this reason."""
    status: ConditionStatus
    name: str
    sentence: str
    """A template of `str.format`; its fields are what the writer of a condition has to know."""
    state: State | None = None
    """What the condition makes of the whole job, if it decides that."""
    warning: bool = False
    """Whether an Event of this reason is a Warning."""

    def say(self, **facts: object) -> str:
        """Return the sentence with `facts` in it; raises KeyError when one is missing."""
        return self.sentence.format(**facts).strip()


def _complete(name: str, sentence: str) -> Reason:
    return Reason(ConditionType.COMPLETE, "True", name, sentence, State.COMPLETE)


def _failed(name: str, sentence: str) -> Reason:
    return Reason(ConditionType.FAILED, "True", name, sentence, State.FAILED, warning=True)


def _prepared(status: ConditionStatus, name: str, sentence: str, state: State | None = None) -> Reason:
    return Reason(ConditionType.DATASET_PREPARED, status, name, sentence, state)


def _running(name: str, sentence: str, state: State = State.RUNNING) -> Reason:
    return Reason(ConditionType.RUNNING, "True" if state is State.RUNNING else "False", name, sentence, state)


def _waiting(condition: ConditionType, name: str, sentence: str) -> Reason:
    return Reason(condition, "False", name, sentence, State.PENDING, warning=name != "Queued")


def _stalled(name: str, sentence: str) -> Reason:
    return Reason(ConditionType.STALLED, "True", name, sentence, State.STALLED, warning=True)


def _event(name: str, sentence: str, *, warning: bool = False) -> Reason:
    return Reason(None, "True", name, sentence, warning=warning)


_WAITS: Final = (
    ("Unschedulable", "Pod {pod} cannot be placed: {message}"),
    ("Queued", "Pod {pod} waits in its queue: {message}"),
    ("ImageUnavailable", "Pod {pod} cannot pull its image: {message}"),
    ("ObjectMissing", "Pod {pod} waits for an object it refers to: {message}"),
    ("QuotaExceeded", "The namespace's quota has no room for {kind} {name}: {message}"),
    ("PodsPending", "Pod {pod} has not started: {message}"),
)
"""Why pods do not start; each passes by itself when its cause is mended."""

REASONS: Final = (
    _complete("Succeeded", "The run finished at step {step} and its model is exported."),
    _complete(ALREADY_COMPLETE, "The output holds the finished run of this job already; nothing is trained again."),
    _failed(Outcome.CONFIG_INVALID, "{message}"),
    _failed(Outcome.DATASET_INVALID, "{message}"),
    _failed(Outcome.PREPROCESSING_FAILED, "{message}"),
    _failed(Outcome.MODEL_UNAVAILABLE, "{message}"),
    _failed(Outcome.OUT_OF_MEMORY, "{message}"),
    _failed(Outcome.DIVERGED, "{message}"),
    _failed("SpecInvalid", "The job cannot be run as it is written: {message}"),
    _failed(
        "RestartsExhausted", "Restarted {restarts} times, as often as runPolicy.maxRestarts allows. Last: {message}"
    ),
    _failed("NoProgress", "{count} attempts in a row were cut short without a new checkpoint. Last: {message}"),
    _failed("PreparationDisrupted", "The pod that prepares the dataset was taken away {count} times. Last: {message}"),
    _failed("DeadlineExceeded", "runPolicy.{field} of {seconds} s has passed. {message}"),
    _failed("CodeChanged", "ConfigMap {name} is no longer what the first attempt used; create a new job for new code."),
    Reason(
        ConditionType.SUSPENDED,
        "True",
        "Suspended",
        "The job is suspended and holds no pods but on nodes that do not answer; "
        "set runPolicy.suspend to false to go on.",
        State.SUSPENDED,
    ),
    Reason(
        ConditionType.SUSPENDED,
        "False",
        "Suspending",
        "Pods are asked to save a checkpoint and leave.",
        State.SUSPENDING,
    ),
    Reason(ConditionType.SUSPENDED, "False", "Resumed", "The job goes on from its last checkpoint."),
    _prepared("True", "Prepared", "{rows} rows with {tokens} tokens are prepared; {dropped} rows were dropped."),
    _prepared("False", "Preparing", "Pod {pod} prepares the dataset.", State.PREPARING),
    _prepared("False", "Retrying", "Preparing the dataset is tried again: {message}", State.PREPARING),
    _prepared("False", "PreparationFailed", "{message}"),
    *(_waiting(ConditionType.DATASET_PREPARED, *wait) for wait in _WAITS),
    _running("Training", "Attempt {attempt} trains on {nodes} nodes."),
    _running("ProgressUnreachable", "Attempt {attempt} runs, but pod {pod} does not tell its progress: {message}"),
    _running("Starting", "The pods of attempt {attempt} start; {ready} of {nodes} run.", State.STARTING),
    _running("Restarting", "Attempt {attempt} ended: {message} The next one follows.", State.RESTARTING),
    _running(
        "Resizing",
        "The pods of attempt {attempt} save a checkpoint and leave; the next one has {nodes} nodes.",
        State.RESTARTING,
    ),
    *(_waiting(ConditionType.RUNNING, *wait) for wait in _WAITS),
    _waiting(
        ConditionType.RUNNING,
        "PodsTerminating",
        "Attempt {attempt} waits for pods of earlier ones that should have ended: {pods}. Each goes when its node "
        "confirms its end, or is deleted or tainted node.kubernetes.io/out-of-service; if you are sure that nothing of "
        "it runs, kubectl delete pod --force removes it.",
    ),
    Reason(ConditionType.RUNNING, "False", "Stopped", "No pod of the job runs any more."),
    Reason(ConditionType.RECONCILING, "True", "Accepting", "The job is being checked.", State.PENDING),
    Reason(ConditionType.RECONCILING, "True", "Preparing", "The dataset is being prepared.", State.PREPARING),
    Reason(ConditionType.RECONCILING, "False", "Suspended", "The job is accepted, and waits to be resumed."),
    Reason(ConditionType.RECONCILING, "False", "Accepted", "The job is accepted and its dataset prepared."),
    _stalled("JobFailed", "{message}"),
    _stalled("ChildRefused", "The API server refuses {kind} {name}: {message}"),
    _stalled("ChildForeign", "{kind} {name} exists and belongs to another owner; delete it, or rename the job."),
    _stalled("PolicyForbids", "The operator's policy forbids {field}: {message}"),
    Reason(ConditionType.STALLED, "False", "NotStalled", "Nothing is in the way."),
    _event("ConfigKeysIgnored", "These keys of spec.config have no effect here: {keys}", warning=True),
    _event("InternalError", "The operator cannot handle this job and tries again: {message}", warning=True),
    _event("AttemptStarted", "Attempt {attempt} starts on {nodes} nodes."),
    _event("AttemptEnded", "Attempt {attempt} ended as {outcome}{where}: {message}", warning=True),
    _event(
        "CheckpointsSkipped",
        "Attempt {attempt} goes on after step {step} instead of {saved}: no newer checkpoint can be used; see its log.",
        warning=True,
    ),
    _event("ChildrenDeleted", "{count} objects of the finished job are deleted, as runPolicy says."),
    _event("JobDeleted", "The job is deleted {seconds} s after its end, as runPolicy.deleteJobAfterSeconds says."),
)

_BY_NAME: Final = {(row.condition, str(row.name)): row for row in REASONS}


def reason_of(condition: ConditionType | None, name: str) -> Reason:
    """Return the row of `condition` (None: of an Event) called `name`; raises KeyError when there is none."""
    return _BY_NAME[condition, name]


def find_reason(condition: str, name: str) -> Reason | None:
    """Return the row that describes a condition read from a cluster, or None for one this version does not know."""
    return next((row for row in REASONS if row.condition == condition and row.name == name), None)
