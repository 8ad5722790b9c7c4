"""Options that the commands about a cluster share, called as kubectl calls them."""

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Cluster"

JobName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the FinetuneJob.", show_default=False)]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="How to reach the cluster; default: the files of $KUBECONFIG, or ~/.kube/config.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Context of the kubeconfig; default: its current one.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "-n",
        "--namespace",
        metavar="NAME",
        help="Namespace of the job; default: the context's.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
AllNamespaces = Annotated[
    bool, typer.Option("-A", "--all-namespaces", help="Jobs of all namespaces.", rich_help_panel=_PANEL)
]
