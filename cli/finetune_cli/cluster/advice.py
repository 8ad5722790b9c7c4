"""What a person can do next about a job, by its state and the reason for it."""

from collections.abc import Iterator
from typing import Final

from finetune_api.names import output_claim_name
from finetune_api.outcomes import Outcome
from finetune_api.reasons import State
from finetune_api.status import NEVER_OBSERVED
from finetune_cli.cluster.job_view import JobView

_ITSELF: Final = "the job goes on by itself"

_WAITING: Final = {
    "Unschedulable": f"Free or add nodes; {_ITSELF}. A new job may ask for less in spec.resources.",
    "ImageUnavailable": f"Push the image, or give its pull secret; {_ITSELF}. Another image needs a new job.",
    "ObjectMissing": f"Create the object that is named; {_ITSELF}.",
    "QuotaExceeded": f"Wait for others to end, or have the quota raised; {_ITSELF}.",
    "Queued": f"Wait for the turn of its queue; {_ITSELF}.",
    "PodsPending": "kubectl describe pod tells more of the pod that is named.",
    "PodsTerminating": f"Mend, taint as out-of-service or delete the nodes that are named; {_ITSELF}.",
    "ProgressUnreachable": "Training goes on; let the operator reach the progress port of the pod that is named.",
    "ChildRefused": f"Mend what the API server names; {_ITSELF}.",
    "PolicyForbids": "Apply a job without that field, or ask the people who run the operator to allow it.",
}

_MEND: Final[dict[str, str]] = {
    Outcome.CONFIG_INVALID: "Correct spec.config; `finetune validate FILE` shows all mistakes at once.",
    Outcome.DATASET_INVALID: "Correct the data; `finetune preview FILE` shows what rows become.",
    Outcome.PREPROCESSING_FAILED: "Correct the function; `finetune preview FILE` runs it on your own machine.",
    Outcome.MODEL_UNAVAILABLE: "Correct the model's name, its files, or the secret that opens it.",
    Outcome.OUT_OF_MEMORY: "Lower device_train_microbatch_size, which changes no result, or ask for more memory.",
    Outcome.DIVERGED: "Lower the learning rate or lengthen the warmup, and look at the rows that are named.",
    "SpecInvalid": "Correct the field that is named.",
    "CodeChanged": "Apply a job of another name for the new code.",
    "DeadlineExceeded": "Apply a new job with a later deadline in spec.runPolicy.",
}


def advice(job: JobView) -> list[str]:
    """Return what to do next, one sentence or command for each line; nothing while all goes its way."""
    return list(_advice(job))


def _advice(job: JobView) -> Iterator[str]:
    if not job.ours:
        yield f"spec.managedBy leaves this job to {job.managed_by}."
    elif job.status.observed_generation == NEVER_OBSERVED and not job.status.conditions:
        yield "No operator has looked at this job yet; see whether one runs:"
        yield "kubectl get pods -A -l app.kubernetes.io/name=finetune-operator"
    elif job.state == State.FAILED:
        yield from _after_failure(job)
    elif job.state == State.COMPLETE:
        yield from _after_success(job)
    elif job.state == State.SUSPENDED:
        resume = '{"spec":{"runPolicy":{"suspend":false}}}'
        yield f"kubectl patch ftj {job.name} -n {job.namespace} --type merge -p '{resume}'"
    elif job.reason in _WAITING:
        yield _WAITING[job.reason]
    elif job.state in (State.RUNNING, State.RESTARTING, State.PREPARING):
        yield f"finetune logs {job.name} -n {job.namespace} -f"


def _after_success(job: JobView) -> Iterator[str]:
    outputs = job.status.outputs
    if outputs and outputs.model:
        yield f"The model is in {outputs.model} as pods of the job see it: on claim {_claim(job)}."


def _after_failure(job: JobView) -> Iterator[str]:
    mend = _MEND.get(job.reason)
    if mend:
        yield f"{mend} A job that has failed never runs again: delete it, then apply it anew."
    else:
        yield f"finetune logs {job.name} -n {job.namespace} shows its last attempt, while its pods are kept."
    if job.status.attempts:
        yield f"To go on from the last checkpoint: a new job with output.resumeFrom: {job.uid}"


def _claim(job: JobView) -> str:
    output = (job.body.get("spec") or {}).get("output") or {}
    claim = (output.get("volume") or {}).get("persistentVolumeClaim") or {}
    return str(claim.get("claimName") or output_claim_name(job.name))
