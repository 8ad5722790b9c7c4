"""Why pods have not started yet, in the words of the scheduler and the kubelet."""

from collections.abc import Sequence

from finetune_api.reasons import ConditionType
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View


def say_waiting(view: View, condition: ConditionType, pods: Sequence[SeenPod], otherwise: str, **facts: object) -> View:
    """Say what the first pod that cannot start waits for, or `otherwise` when none is held up."""
    held = next((pod for pod in pods if pod.phase == "Pending" and pod.wait is not None), None)
    if held is None or held.wait is None:
        return view.say(condition, otherwise, **facts)
    return view.say(condition, held.wait.reason, pod=held.name, message=held.wait.message)
