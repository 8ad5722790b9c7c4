"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A training YAML or a FinetuneJob manifest.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]",
        help="Override keys of the training configuration, such as `optimizer.lr=1e-4`.",
        show_default=False,
    ),
]
Mounts = Annotated[
    list[str] | None,
    typer.Option(
        "--mount",
        metavar="NAME=DIR",
        help="Use directory DIR for the claim or ConfigMap NAME of a manifest; may be repeated.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]
