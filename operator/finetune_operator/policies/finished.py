"""A job that is over: cleaned up, and never touched otherwise."""

from pydantic import ValidationError

from finetune_api.job.policies import RunPolicy
from finetune_operator.policies.clean_pods import clean_pods
from finetune_operator.policies.ttl import expire
from finetune_operator.view import View


def finished(view: View) -> View:
    """Delete what a finished job does not need any more; of its status only the generation that was seen moves on."""
    policy = _policy(view)
    view = view.report(observed_generation=view.job.generation)
    return expire(view.deleting(clean_pods(view, policy)), policy).stop()


def _policy(view: View) -> RunPolicy:
    """The run policy alone: the rest of the spec may be what the job failed for."""
    spec = view.job.document.get("spec")
    try:
        return RunPolicy.model_validate((spec.get("runPolicy") if isinstance(spec, dict) else None) or {})
    except ValidationError:
        return RunPolicy()
