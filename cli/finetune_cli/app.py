"""The `finetune` command: its sub-commands and what it says about itself."""

from typing import Annotated

import typer

from finetune_cli.preview_command import preview
from finetune_cli.run_command import run
from finetune_cli.validate_command import validate

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
