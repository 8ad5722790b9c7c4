"""Why pods have not started yet, in the words of the scheduler, the kubelet and the API server."""

from collections.abc import Sequence
from typing import Final

from finetune_api.names import training_pod_name
from finetune_api.reasons import ConditionType
from finetune_api.status import condition_of
from finetune_operator.seen_pod import SeenPod, Wait
from finetune_operator.view import View

_CODE_RETRY: Final = 10.0
"""Seconds between looks for a ConfigMap that is not there yet."""


_LONG: Final = 60.0
"""Seconds after which volumes that are not mounted are worth a word, though nobody says why."""


def say_waiting(
    view: View, condition: ConditionType, pods: Sequence[SeenPod], otherwise: str, *, complete: bool, **facts: object
) -> View:
    """Say what the first pod that cannot start waits for, or `otherwise` when none is held up.

    While pods are not `complete` because the quota had no room for them, that is still so.
    """
    if any(pod.mounting for pod in pods):
        view = view.again_after(view.settings.timing.mount_patience)
    held = next(((pod, wait) for pod in pods if (wait := wait_of(view, pod)) is not None), None)
    if held is not None:
        return view.say(condition, held[1].reason, pod=held[0].name, message=held[1].message)
    said = condition_of(view.status.conditions, condition)
    if not complete and said is not None and said.reason == "QuotaExceeded":
        return view
    return view.say(condition, otherwise, **facts)


def wait_of(view: View, pod: SeenPod) -> Wait | None:
    """Return why a pod does not start, or None when it has started or nobody knows."""
    if pod.phase != "Pending":
        return None
    if pod.mounting and view.observed.missing:
        return Wait("ObjectMissing", "; ".join(one.message for one in view.observed.missing))
    if pod.mounting and pod.placed is not None and view.since(pod.placed) >= _LONG:
        return Wait("PodsPending", "its volumes are not mounted yet; kubectl describe pod shows what they wait for.")
    return pod.wait


def wait_for_code(view: View, name: str) -> View:
    """Wait for the ConfigMap in `spec.code`, before any pod that would mount it."""
    message = f'configmaps "{name}" not found'
    attempt = view.attempt.number if view.attempt else 0
    pod = training_pod_name(view.job.name, attempt, 0)
    return view.say(ConditionType.RUNNING, "ObjectMissing", pod=pod, message=message).again_after(_CODE_RETRY).stop()
