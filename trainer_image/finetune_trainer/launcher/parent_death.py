"""A process that must not outlive its parent, even when the parent is killed without a chance to clean up."""

import ctypes
import os
import signal
import sys
import threading
import time

PARENT_PID = "FINETUNE_PARENT_PID"
"""Set by a parent for its children: the process id that they must not outlive."""

_PR_SET_PDEATHSIG = 1
_WATCH_SECONDS = 0.2


def die_with_parent() -> None:
    """Have this process killed when the parent named in `FINETUNE_PARENT_PID` dies; without it, do nothing.

    Call it first, from the main thread. Free of races: a parent that is already gone ends the process here.
    """
    parent = os.environ.pop(PARENT_PID, "")  # not for grandchildren, whose parent is this process
    if not parent.isdigit():
        return
    if not _kernel_kills_with_parent():
        threading.Thread(target=_watch, args=(int(parent),), daemon=True, name="parent-watch").start()
    if os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGKILL)


def environment_of_child() -> dict[str, str]:
    """A copy of the environment for a child that calls `die_with_parent`."""
    return {**os.environ, PARENT_PID: str(os.getpid())}


def _kernel_kills_with_parent() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    result: int = ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return result == 0


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
