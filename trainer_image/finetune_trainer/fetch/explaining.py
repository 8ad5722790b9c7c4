"""Turns the errors of clients into ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from finetune_api.errors import RunError
from finetune_trainer.fetch.request import Request


@contextmanager
def explained(request: Request, explanation: Callable[[Request, Exception], Exception]) -> Iterator[None]:
    """Raise in the place of a client's error what `explanation` makes of it; our own errors pass as they are."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        raise explanation(request, error) from error


def first_line(error: BaseException) -> str:
    """Return what an error says in short, or its type when it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
