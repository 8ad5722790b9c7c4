"""`finetune preview`: what a configuration makes of its rows, without a model."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.arguments import File, Json, Mounts, Overrides
from finetune_cli.errors import require_trainer, told_to_user
from finetune_cli.inputs import localised

if TYPE_CHECKING:
    from finetune_trainer.data.preview import Preview

Rows = Annotated[int, typer.Option("-n", "--rows", min=0, help="How many rows to show; 0: all.")]
Split = Annotated[str, typer.Option("--split", help="`train`, or the label of an evaluation (`eval`).")]


def preview(
    file: File,
    overrides: Overrides = None,
    rows: Rows = 3,
    split: Split = "train",
    mounts: Mounts = None,
    as_json: Json = False,
) -> None:
    """Show how rows become tokens: prompt and target, token counts, dropped rows, the lengths.

    With `--json`, one object per source row, in source order.

    Examples:

    `finetune preview train.yaml`

    `finetune preview train.yaml -n 10 --split eval`

    `finetune preview job.yaml -n 0 --json > rows.jsonl`
    """
    with told_to_user():
        given = localised(file, overrides or [], mounts or [])
        require_trainer()
        from finetune_trainer.data.preview import preview as open_preview

        shown = open_preview(given.config, split=split, rows=rows, code_dir=given.code_dir)
        if as_json:
            _print_json(shown)
        else:
            from finetune_cli.preview_display import show

            show(shown)


def _print_json(shown: "Preview") -> None:
    for row in shown:
        typer.echo(json.dumps(row.to_json()))
