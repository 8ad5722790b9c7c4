"""What each reason means, for the page of the API; its sentence says what happened to one job."""

from collections.abc import Iterable, Mapping
from typing import Final

from finetune_api.reasons import REASONS, ConditionType, Reason

EVENT: Final = "Event"

CONDITIONS: Final[Mapping[str, str]] = {
    "Complete": "The run is over and its model exported. Never taken back.",
    "Failed": "The run is over without a model. Never taken back.",
    "Suspended": "Whether the job holds no pods, but on nodes that do not answer, because `runPolicy.suspend` says so.",
    "DatasetPrepared": "Whether the tokenized rows lie on the output volume.",
    "Running": "Whether the pods of an attempt train.",
    "Reconciling": "Of kstatus: the job is not yet accepted and prepared. Tools that install a job wait for its end.",
    "Stalled": "Of kstatus: nothing will happen until a person changes something.",
    EVENT: "Only `kubectl events` shows these. Changes of the other conditions but `Reconciling` are Events too.",
}

_WAITS: Final = {
    "Unschedulable": "No node has room for the pod, or none fits its selectors and tolerations.",
    "Queued": "The gang scheduler or queue has not let the pods start.",
    "ImageUnavailable": "The kubelet cannot pull the image.",
    "ObjectMissing": "A claim, ConfigMap or Secret that the pod refers to does not exist, or lacks a key.",
    "QuotaExceeded": "A ResourceQuota of the namespace leaves no room; creation is tried again every half minute.",
    "PodsPending": "The pod waits for something that neither scheduler nor kubelet names.",
}

_MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "Complete": {
        "Succeeded": "All pods of the last attempt ended well.",
        "AlreadyComplete": "The output volume holds the finished run of this very job, whose status was lost.",
    },
    "Failed": {
        "ConfigInvalid": "`spec.config` has a mistake; no pod was created.",
        "DatasetInvalid": "The data cannot be used as it is; exit code 3.",
        "PreprocessingFailed": "`preprocessing_fn` raised or returned something else than a row; exit code 4.",
        "ModelUnavailable": "The model or its tokenizer cannot be used; exit code 5.",
        "OutOfMemory": "Memory ran out at the smallest microbatch; exit code 6.",
        "Diverged": "The loss or the gradient was no longer finite; exit code 7.",
        "SpecInvalid": "A field of the spec other than `config` has a mistake that the API server did not see.",
        "RestartsExhausted": "One failure more than `runPolicy.maxRestarts` allows.",
        "NoProgress": "The cluster took the pods away so often in a row that no new checkpoint came about.",
        "PreparationDisrupted": "The cluster took the prepare pod away again and again.",
        "DeadlineExceeded": "`activeDeadlineSeconds` or `pendingDeadlineSeconds` of `runPolicy` has passed.",
        "CodeChanged": "The ConfigMap of `spec.code` was edited between two attempts.",
    },
    "Suspended": {
        "Suspended": "The last checkpoint is saved and the pods are gone.",
        "Suspending": "The pods have their grace period to save.",
        "Resumed": "`runPolicy.suspend` is false again.",
    },
    "DatasetPrepared": {
        "Prepared": "Training may begin; `status.dataset` has the figures.",
        "Preparing": "The prepare pod starts or runs.",
        "Retrying": "The prepare pod failed for a cause outside the data, or was taken away; another follows.",
        "PreparationFailed": "The prepare pod failed for good; `Failed` says why.",
        **_WAITS,
    },
    "Running": {
        "Training": "All pods of the attempt run.",
        "ProgressUnreachable": "The pods run, but rank 0 does not answer the operator; the run is left alone.",
        "Starting": "Some pods of the attempt are not running yet.",
        "Restarting": "An attempt ended; its pods are removed and the next one follows.",
        "Resizing": "`spec.nodes` was changed; the next attempt goes on with the new number, from the same step.",
        "Stopped": "The job is over or suspended.",
        **_WAITS,
        "PodsTerminating": "Pods of an ended attempt outlast their grace by half a minute; the next one waits.",
    },
    "Reconciling": {
        "Accepting": "The operator waits for the ConfigMap of `spec.code`.",
        "Preparing": "The job is accepted; its dataset is not prepared yet.",
        "Suspended": "The job was suspended before its dataset was prepared.",
        "Accepted": "The job is accepted, and its dataset prepared or to be prepared by rank 0.",
    },
    "Stalled": {
        "JobFailed": "Comes with `Failed`.",
        "ChildRefused": "The API server refuses an object of the job for good; tried again every half minute.",
        "ChildForeign": "A name that the job needs is taken by an object that is not its own.",
        "PolicyForbids": "The people who run the operator do not allow this field's value.",
        "NotStalled": "The job goes on.",
    },
    EVENT: {
        "InternalError": "A mistake of the operator's own; its log has the traceback. The job is tried again.",
        "ConfigKeysIgnored": "Keys of LLM Foundry that are accepted and do nothing here.",
        "AttemptStarted": "An attempt was decided on.",
        "CheckpointsSkipped": "Checkpoints of an earlier attempt are damaged or gone; what they held is trained again.",
        "AttemptEnded": "An attempt is over; a Warning unless it succeeded, was suspended or resized.",
        "ChildrenDeleted": "`runPolicy.ttlSecondsAfterFinished` has passed.",
        "JobDeleted": "`runPolicy.deleteJobAfterSeconds` has passed.",
    },
}


def kind_of(condition: ConditionType | None) -> str:
    """Return the heading under which the reasons of a condition, or those of Events alone, stand."""
    return condition.value if condition else EVENT


def meaning(reason: Reason) -> str:
    """Return what `reason` means; raises SystemExit with what to write where when nothing is said about it."""
    kind = kind_of(reason.condition)
    try:
        return _MEANINGS[kind][str(reason.name)]
    except KeyError:
        raise SystemExit(f"docs/generators/meanings.py says nothing about {kind}/{reason.name}; add it there") from None


def leftovers(reasons: Iterable[Reason] = REASONS) -> list[str]:
    """Return what is explained here although it is none of `reasons`."""
    known = {(kind_of(reason.condition), str(reason.name)) for reason in reasons}
    explained = [(kind, name) for kind, names in _MEANINGS.items() for name in names]
    return [f"{kind}/{name}" for kind, name in explained if (kind, name) not in known]
