"""How a program that works for a run ends: signals become exceptions, and exceptions become last words."""

import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Never, TypeVar

from finetune_api.errors import RunError
from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.disk_errors import PASSING

T = TypeVar("T")


class Stopped(BaseException):
    """A signal asked to leave; no Exception, so that no `except Exception` on the way keeps it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def heed_signals() -> None:
    """Have a request to leave raise `Stopped`, wherever the program is."""
    for number, outcome in ((signal.SIGTERM, Outcome.PREEMPTED), (signal.SIGINT, Outcome.INTERRUPTED)):
        signal.signal(number, _stop_with(outcome))


def guarded(action: Callable[[], T], doing: str) -> T | TerminationMessage:
    """Return what `action` returns, or the last words about what it raised; `doing` says what was interrupted."""
    try:
        return action()
    except RunError as error:
        print(f"{error.outcome.value}: {error}\n{error.user_traceback or ''}".rstrip(), file=sys.stderr)
        return TerminationMessage(outcome=error.outcome, message=str(error), traceback=error.user_traceback)
    except Stopped as stopped:
        return TerminationMessage(outcome=stopped.outcome, message=f"asked to leave while {doing}")
    except BaseException as error:
        traceback.print_exc()
        passing = isinstance(error, OSError) and error.errno in PASSING
        outcome = Outcome.RETRYABLE if passing else Outcome.CRASHED
        text = f"{type(error).__name__}: {error}"
        return TerminationMessage(outcome=outcome, message=text, traceback=traceback.format_exc())


def _stop_with(outcome: Outcome) -> "signal._HANDLER":
    def stop(number: int, frame: FrameType | None) -> Never:
        raise Stopped(outcome)

    return stop
