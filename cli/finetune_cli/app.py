"""The `finetune` command: its sub-commands and what it says about itself."""

from typing import Annotated

import typer

from finetune_cli.cluster.logs_command import logs
from finetune_cli.cluster.status_command import status
from finetune_cli.cluster.wait_command import wait
from finetune_cli.preview_command import preview
from finetune_cli.render_command import render
from finetune_cli.run_command import run
from finetune_cli.validate_command import validate

_IN_A_CLUSTER = "Jobs in a cluster"

app = typer.Typer(
    name="finetune",
    help="Fine-tune a language model on your own data, from one file.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("run")(run)
app.command("validate")(validate)
app.command("preview")(preview)
app.command("render")(render)
app.command("status", rich_help_panel=_IN_A_CLUSTER)(status)
app.command("logs", rich_help_panel=_IN_A_CLUSTER)(logs)
app.command("wait", rich_help_panel=_IN_A_CLUSTER)(wait)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"finetune {version('finetune-operator')}")
        raise typer.Exit


@app.callback(
    epilog="Begin with:\n\n`finetune validate job.yaml`\n\n`finetune preview job.yaml`\n\n`finetune run job.yaml`"
)
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fine-tune a language model on your own data, from one file."""
