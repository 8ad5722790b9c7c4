"""`finetune validate`: every mistake of a file at once, without importing anything heavy."""

import json
from typing import Any

import typer

from finetune_api.config import lint
from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.outcomes import Outcome, exit_code
from finetune_cli.arguments import File, Json, Overrides
from finetune_cli.inputs import check
from finetune_trainer.launcher.devices import available_cpus


def validate(file: File, overrides: Overrides = None, as_json: Json = False) -> None:
    """Check a training YAML or a FinetuneJob manifest and name every mistake.

    Exits with 2 when there is a mistake, with 0 otherwise; warnings do not count.

    Examples:

    `finetune validate job.yaml`

    `finetune validate train.yaml optimizer.lr=1e-4`

    `finetune validate job.yaml --json | jq .problems`
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    ignored: tuple[str, ...] = ()
    try:
        loaded, _ = check(file, overrides or [])
        warnings, ignored = lint(loaded.config, cpus=available_cpus()), loaded.ignored
    except ConfigInvalid as error:
        problems = list(error.problems) or [Problem("", str(error))]
    if as_json:
        typer.echo(json.dumps(_report(problems, warnings, ignored), indent=2))
    else:
        _print(str(file), problems, warnings, ignored)
    if problems:
        raise typer.Exit(exit_code(Outcome.CONFIG_INVALID))


def _print(file: str, problems: list[Problem], warnings: list[Problem], ignored: tuple[str, ...]) -> None:
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    if ignored:
        typer.echo(f"ignored: {', '.join(ignored)}", err=True)
    if problems:
        typer.echo(f"{file}: {len(problems)} mistake{'s' if len(problems) > 1 else ''}", err=True)
    else:
        typer.echo(f"{file}: valid")


def _report(problems: list[Problem], warnings: list[Problem], ignored: tuple[str, ...]) -> dict[str, Any]:
    return {
        "valid": not problems,
        "problems": [_object(problem) for problem in problems],
        "warnings": [_object(warning) for warning in warnings],
        "ignored": list(ignored),
    }


def _object(problem: Problem) -> dict[str, Any]:
    return {"path": problem.path, "message": problem.message, "hint": problem.hint}
