"""How a user's mistakes are told: one clear message on stderr, the exit code of the outcome, no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import typer

from finetune_api.errors import ConfigInvalid, Problem, RunError
from finetune_api.outcomes import exit_code


@contextmanager
def told_to_user() -> Iterator[None]:
    """Turn a RunError into its message and exit code; anything else is a defect and passes through."""
    try:
        yield
    except RunError as error:
        typer.echo(f"{error.outcome}: {error}", err=True)
        if error.user_traceback:
            typer.echo(error.user_traceback.rstrip(), err=True)
        raise typer.Exit(exit_code(error.outcome)) from None


def require_trainer() -> None:
    """Raise ConfigInvalid with what to install when the trainer's libraries are missing."""
    missing = [name for name in ("torch", "transformers", "datasets") if find_spec(name) is None]
    if missing:
        problem = Problem("", f"{' and '.join(missing)} not installed", "pip install 'finetune-operator[cli,trainer]'")
        raise ConfigInvalid.of([problem])
