"""The last words of pods, written by hand as the launcher leaves them: JSON of at most 4,096 bytes."""

import json
from typing import Any

from soak.script import Act, Kind
from soak.verdicts import USER_REASONS

Body = dict[str, Any]
_TRACE = 'Traceback (most recent call last):\n  File "run.py", line 7, in <module>\nRuntimeError: it broke\n'


def end_of(act: Act, attempt: int, node: str) -> tuple[int, str, str]:
    """Return the exit code, the container's reason and the termination message of the pod that an act happens to."""
    told = _TOLD.get(act.kind)
    if told is not None:
        code, facts = told
        return code, "Error", _say(code=code, rank=act.rank, **facts)
    match act.kind:
        case Kind.USER_TOLD:
            reason = USER_REASONS[act.code]
            return act.code, "Error", _say(reason, act.code, f"{reason}, as was to be.", rank=act.rank, step=3)
        case Kind.USER_SILENT:
            return act.code, "Error", ""
        case Kind.OOM_KILLED:
            return 137, "OOMKilled", ""
        case Kind.GARBLED:
            return 1, "Error", '{"outcome": "Succ' + "\x01é" * 40
        case Kind.LYING:
            return 1, "Error", succeeded(0)
        case Kind.PREFLIGHT:
            said = f"node rank {act.rank} cannot reach the master"
            words = _say("Retryable", 75, said, reason="PreflightFailed", rank=act.rank, suspects=[act.rank])
            return 75, "Error", words
        case Kind.SUPERSEDED:
            words = _say("Retryable", 75, "A newer claim exists.", reason="Superseded", claimedAttempt=attempt + 1)
            return 75, "Error", words
    return act.code or 1, "Error", ""


def succeeded(step: int, reason: str = "Succeeded", **facts: Any) -> str:
    """Return what a run says that ended well."""
    progress = {"step": step, "totalSteps": step, "lastCheckpointStep": step}
    return _say("Succeeded", 0, "The run finished.", reason=reason, step=step, progress=progress, **facts)


def drained(step: int, *, checkpoint: bool) -> str:
    """Return what a run says that was asked to leave."""
    progress = {"step": step, "lastCheckpointStep": step} if checkpoint else {}
    return _say("Preempted", 143, "Saved and left.", step=step, progress=progress)


def echo(rank: int) -> str:
    """Return what a rank says that has lost a peer."""
    return _say("Retryable", 75, "A peer was lost.", reason="PeerLost", rank=rank)


def _say(outcome: str, code: int, message: str = "", **facts: Any) -> str:
    return json.dumps({"outcome": outcome, "exitCode": code, "message": message, **facts})


_HANG = {"beats": 17, "frozen": True}
_TOLD: dict[Kind, tuple[int, Body]] = {
    Kind.CRASH_TOLD: (1, {"outcome": "Crashed", "message": "RuntimeError: it broke", "traceback": _TRACE, "step": 2}),
    Kind.RETRYABLE: (75, {"outcome": "Retryable", "message": "The store is gone."}),
    Kind.HANG: (
        75,
        {
            "outcome": "Retryable",
            "reason": "Hang",
            "message": "Rank 0 fell silent.",
            "traceback": _TRACE,
            "hang": _HANG,
        },
    ),
}
