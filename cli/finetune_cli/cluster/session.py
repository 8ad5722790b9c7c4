"""Runs a command that asks a cluster, and tells people in one sentence when it does not answer as it should."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from finetune_cli.cluster.conclusion import NO_ANSWER

if TYPE_CHECKING:
    from finetune_operator.cluster.client import Client


@dataclass(frozen=True)
class Place:
    """Which cluster, and where in it."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


class NoAnswer(Exception):
    """The cluster cannot say what was asked; the text says why, and what to do."""


Work = Callable[["Client", str], Awaitable[int]]
"""What a command does with a client and a namespace; it returns the exit code."""


def ask_cluster(place: Place, work: Work) -> NoReturn:
    """Do `work` and exit with its code; a cluster that does not answer ends it without a traceback."""
    from finetune_operator.cluster.errors import ApiError, LoginError, Unreachable

    try:
        code = asyncio.run(_with_client(place, work))
    except NoAnswer as error:
        _fail(str(error))
    except (LoginError, Unreachable) as error:
        _fail(str(error))
    except ApiError as error:
        _fail(in_words(error))
    raise typer.Exit(code)


def in_words(error: Exception) -> str:
    """Return what the API server said, with what can be done about it where that is known."""
    from finetune_operator.cluster.errors import ApiError

    if not isinstance(error, ApiError):
        return str(error)
    if error.code == 401:
        return f"the API server does not accept these credentials: {error.message}; log in again"
    if error.code == 403:
        return f"the API server forbids it: {error.message}"
    return f"the API server answers {error.code}: {error.message}"


def say(sentence: str) -> None:
    """Tell the user something that is not what was asked for."""
    typer.echo(f"finetune: {sentence}", err=True)


def _fail(sentence: str) -> NoReturn:
    say(sentence)
    raise typer.Exit(NO_ANSWER) from None


async def _with_client(place: Place, work: Work) -> int:
    async with _open(place) as client:
        return await work(client, place.namespace or client.namespace)


def _open(place: Place) -> "Client":
    from finetune_operator.cluster.access import has_service_account
    from finetune_operator.cluster.client import Client
    from finetune_operator.cluster.kubeconfig import kubeconfig_files

    told = place.kubeconfig is not None or place.context is not None
    if not told and has_service_account() and not any(file.exists() for file in kubeconfig_files()):
        return Client.in_cluster()
    return Client.from_kubeconfig(place.kubeconfig, place.context)
