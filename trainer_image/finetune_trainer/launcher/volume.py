"""Volumes that do not answer, and volumes that answer with an error.

One whose server is gone says neither yes nor no, and whoever asks it cannot be interrupted. So it is asked in a thread
that may be left behind.
"""

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.launcher.arguments import NodeLaunch
from finetune_trainer.output_check import volume_error

_PULSE_SECONDS: Final = 0.05
_ASLEEP_SECONDS: Final = 1.0
"""A pulse that took longer says that this process did not run, and nothing of the volume."""

T = TypeVar("T")


class Asked(Exception):
    """A request to leave came before the answer."""


class Silent(Exception):
    """No answer came in time."""


def within(seconds: float, work: Callable[[], T], left: Callable[[], bool]) -> T:
    """Return what `work` returns, or raise what it raises; who takes too long is left behind.

    Raises Asked once `left()` is true, Silent after so many seconds; time in which this process did not run is not one.
    """
    answer: Future[T] = Future()

    def ask() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True, name="volume").start()
    waited, looked = 0.0, time.monotonic()
    while not wait([answer], _PULSE_SECONDS).done:
        looked, before = time.monotonic(), looked
        waited += min(looked - before, _ASLEEP_SECONDS)
        if left():
            raise Asked
        if waited > seconds:
            raise Silent
    return answer.result()


def words_about(error: OSError, launch: NodeLaunch) -> TerminationMessage:
    """Return the last words of a node that a volume has failed; Crashed where nobody knows what that means."""
    place = str(error.filename or f"{launch.output} or {launch.run_dir}")
    what = "run directory" if place.startswith(str(launch.run_dir)) else "output"
    known = volume_error(error, place, what)
    traceback.print_exception(error)
    if known is not None:
        return TerminationMessage(outcome=known.outcome, message=str(known))
    text = f"{what}: {place} failed with {type(error).__name__}: {error.strerror or error}"
    return TerminationMessage(outcome=Outcome.CRASHED, message=text)
