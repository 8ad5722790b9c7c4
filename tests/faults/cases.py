"""The failure table as forty-one cases; `finetune_faults` does what happens inside of ranks, `strikes` the rest."""

from typing import Final

from faults.case import (
    ALONE,
    AT_A_STEP,
    PAIR,
    SAVED_EVERY,
    STRUCK_NODE,
    WHILE_SAVING,
    Case,
    Moment,
    Shape,
    Truth,
)
from finetune_api.outcomes import ENDINGS, RetryPolicy
from finetune_api.reasons import AttemptOutcome

SEED: Final = 20261122

FAILURE, DISRUPTION, HANG = AttemptOutcome.FAILURE, AttemptOutcome.DISRUPTION, AttemptOutcome.HANG

_USER_CODES: Final = tuple(ending for ending in ENDINGS if ending.retry is RetryPolicy.NEVER)
_SOON: Final = {"runPolicy": {"stepTimeoutSeconds": 8}}
_SHORT: Final = {"runPolicy": {"gracePeriodSeconds": 6}}
_HERE: Final = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [STRUCK_NODE]}]}
_PREFERRED: Final = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": _HERE}]}
_ON_STRUCK_NODE: Final = {
    "scheduling": {"affinity": {"nodeAffinity": _PREFERRED}},
    "runPolicy": {"stepTimeoutSeconds": 3600},
}


def _inside(name: str, title: str, do: str, truth: Truth, shape: Shape = PAIR, when: Moment = AT_A_STEP) -> Case:
    return Case(name, title, shape, when, do, "", truth)


def _outside(name: str, title: str, strike: str, truth: Truth, shape: Shape = PAIR, when: Moment = AT_A_STEP) -> Case:
    return Case(name, title, shape, when, "pass", strike, truth)


def _of_node(name: str, title: str, strike: str, truth: Truth, shape: Shape = PAIR, when: Moment = AT_A_STEP) -> Case:
    return Case(name, title, shape, when, "pass", strike, truth, alone=True, seconds=540.0)


_LOST: Final = Truth(AttemptOutcome.NODE_LOSS, "NodeLost", "node")


def _user(code: int, reason: str) -> Truth:
    words = (f"rank {{rank}} left with exit code {code}",)
    return Truth(AttemptOutcome.USER_FAILURE, reason, "rank", code, "Failed", reason, words=words)


def _crashed(*words: str) -> Truth:
    return Truth(FAILURE, "Crashed", "rank", 1, words=words)


def _drained() -> Truth:
    return Truth(DISRUPTION, "Removed", "pod", lost=0)


CASES: Final = (
    *(
        _inside(f"exit-{ending.exit_code}", f"a rank exits with {ending.exit_code}", f"exit:{ending.exit_code}", truth)
        for ending in _USER_CODES
        for truth in [_user(ending.exit_code, ending.outcome)]
    ),
    _inside(
        "exit-75",
        "a rank exits with 75",
        "exit:75",
        Truth(FAILURE, "Retryable", "rank", 75, words=("rank {rank} left with exit code 75",)),
    ),
    _inside(
        "exit-143",
        "a rank exits with 143, nothing saved",
        "exit:143",
        _crashed("rank {rank} left with exit code 143"),
    ),
    _inside("exception", "a rank raises an exception", "raise", _crashed("injected into step", "Traceback")),
    _inside(
        "nan",
        "the loss becomes NaN",
        "nan",
        Truth(AttemptOutcome.USER_FAILURE, "Diverged", "job", 7, "Failed", "Diverged", words=("is nan",)),
    ),
    _inside(
        "oom-killed",
        "a rank takes more memory than the pod may",
        "allocate",
        Truth(FAILURE, "OutOfMemory", "rank", words=("memory",)),
        Shape(2, spec={"resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "1400Mi"}}}),
    ),
    _outside("rank-killed", "kill -9 of a rank", "kill_rank", _crashed("rank {rank} was killed by SIGKILL")),
    _outside(
        "rank-killed-while-saving",
        "kill -9 of one of two ranks of a pod while it saves",
        "kill_rank",
        _crashed("rank {rank} was killed by SIGKILL"),
        ALONE,
        WHILE_SAVING,
    ),
    _outside(
        "rank-killed-while-loading",
        "kill -9 of a rank while it loads the model",
        "kill_rank",
        _crashed("rank {rank} was killed by SIGKILL"),
        ALONE,
        Moment("load"),
    ),
    _outside(
        "agent-killed",
        "kill -9 of torchrun's agent",
        "kill_agent",
        Truth(FAILURE, "Crashed", "agent", 1, words=("the torchrun agent was killed by SIGKILL",)),
    ),
    _outside(
        "launcher-killed",
        "kill -9 of the pod's first process",
        "kill_launcher",
        Truth(FAILURE, "Crashed", "launcher", 137, words=("exit code 137",)),
    ),
    _outside(
        "pod-killed",
        "a pod deleted by force, without grace",
        "delete_pod_by_force",
        Truth(DISRUPTION, "Removed", "pod"),
    ),
    _outside("pod-deleted", "kubectl delete pod", "delete_pod", _drained()),
    _outside("evicted", "a pod evicted through the API", "evict_pod", _drained()),
    _outside(
        "sigterm",
        "SIGTERM to one pod's launcher, with enough grace",
        "ask_launcher_to_leave",
        Truth(DISRUPTION, "Drained", "pod", 143, lost=0),
    ),
    Case(
        "sigterm-too-short",
        "kubectl delete pod, the step takes longer than the grace",
        Shape(2, spec=_SHORT),
        AT_A_STEP,
        "block:30",
        "delete_pod_and_go",
        Truth(DISRUPTION, "Removed", "pod", words=("killed before everything was saved",)),
    ),
    _outside(
        "suspended", "suspended, then resumed", "suspend", Truth(AttemptOutcome.SUSPENDED, "Suspended", "job", lost=0)
    ),
    _outside(
        "deadline",
        "activeDeadlineSeconds passes",
        "shorten_deadline",
        Truth(
            AttemptOutcome.CANCELLED,
            "DeadlineExceeded",
            "job",
            state="Failed",
            ending="DeadlineExceeded",
            lost=0,
            words=("activeDeadlineSeconds",),
        ),
    ),
    _of_node(
        "node-stopped",
        "kubelet and pods of a node die",
        "stop_node",
        _LOST,
    ),
    _of_node(
        "node-restarted",
        "a node restarts within its grace",
        "restart_node",
        Truth(DISRUPTION, "Removed", "node"),
    ),
    _of_node("node-deleted", "a node dies and is deleted", "delete_node", _LOST),
    Case(
        "node-partitioned",
        "a node loses the API server; its pod pauses, and trains on when another has taken over",
        Shape(1, 2, "alone", spec=_ON_STRUCK_NODE),
        AT_A_STEP,
        "block:75",
        "cut_off_kubelet",
        _LOST,
        alone=True,
        lingers=90.0,
        seconds=540.0,
    ),
    _of_node(
        "dns-blocked",
        "the name server cannot be reached from a node",
        "block_names",
        Truth(FAILURE, "PreflightFailed", "node", 75, lost=0, within=30.0),
        when=Moment("starting"),
    ),
    _of_node(
        "port-blocked",
        "the master's port cannot be reached from a node",
        "block_port",
        Truth(FAILURE, "PreflightFailed", "node", 75, lost=0, within=30.0),
        when=Moment("starting"),
    ),
    _outside(
        "disk-full",
        "the output's disk is full when a checkpoint is saved",
        "fill_disk",
        Truth(FAILURE, "Retryable", "job", 75, words=("disk is full",)),
        when=WHILE_SAVING,
    ),
    _inside(
        "read-only",
        "the output is read-only when a checkpoint is saved",
        "error:EROFS",
        Truth(FAILURE, "Retryable", "job", 75, words=("Read-only",)),
        when=WHILE_SAVING,
    ),
    _outside(
        "checkpoint-truncated",
        "the newest checkpoint is cut short, and a rank killed",
        "truncate_checkpoint",
        Truth(FAILURE, "Crashed", "rank", 1, lost=2 * SAVED_EVERY, words=("SIGKILL",)),
        when=Moment("step", 10, 12),
    ),
    _outside(
        "checkpoint-corrupted",
        "a byte of the newest checkpoint is changed, and a rank killed",
        "corrupt_checkpoint",
        Truth(FAILURE, "Crashed", "rank", 1, lost=2 * SAVED_EVERY, words=("SIGKILL",)),
        when=Moment("step", 10, 12),
    ),
    _inside(
        "frozen",
        "a rank stands still (SIGSTOP) while its peer waits in a collective",
        "signal:SIGSTOP",
        Truth(HANG, "Hang", "rank", 75),
        Shape(2, spec=_SOON),
    ),
    _inside(
        "hang-in-loader",
        "reading a row never ends",
        "block",
        Truth(HANG, "Hang", "rank", 75, words=("finetune_faults",)),
        Shape(2, spec=_SOON),
        Moment("row", 6, 10),
    ),
    _inside(
        "hang-in-save",
        "writing a checkpoint never ends",
        "block",
        Truth(HANG, "Hang", "rank", 75, words=("finetune_faults",)),
        Shape(2, spec=_SOON),
        WHILE_SAVING,
    ),
    Case(
        "operator-killed",
        "kill -9 of the operator, and of a rank",
        PAIR,
        AT_A_STEP,
        "pass",
        "kill_operator_and_rank",
        _crashed("rank {rank} was killed by SIGKILL"),
        alone=True,
    ),
    _outside(
        "prepare-killed",
        "the pod that prepares is deleted by force",
        "kill_preparation",
        Truth(None, "", "preparation", lost=0),
        when=Moment("preparing"),
    ),
    _outside(
        "recreated",
        "the job is deleted and created again, first without resumeFrom, then with it",
        "create_again",
        Truth(
            None,
            "ConfigInvalid",
            "job",
            2,
            words=("another job", "resumeFrom"),
            lost=SAVED_EVERY,
        ),
    ),
    _outside(
        "status-wiped",
        "the status of a finished job is lost",
        "wipe_status",
        Truth(None, "", "job", ending="AlreadyComplete", lost=0),
        when=Moment("complete"),
    ),
    _of_node(
        "elastic",
        "a node of an elastic job dies; no other can take its place",
        "stop_node",
        _LOST,
        Shape(
            2,
            reference="pair-without-dropout",
            dropout=False,
            apart=True,
            spec={"elastic": {"minNodes": 1, "maxNodes": 2}},
        ),
    ),
)
