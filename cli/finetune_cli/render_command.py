"""`finetune render`: the objects that the operator will create for a job, without a cluster."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.manifest import JobManifest, load_file
from finetune_cli.errors import told_to_user

_DEFAULT_NAMESPACE: Final = "default"


class Form(StrEnum):
    """How objects are written."""

    YAML = "yaml"
    JSON = "json"


Manifest = Annotated[Path, typer.Argument(metavar="FILE", help="A FinetuneJob manifest.", show_default=False)]
NamespaceOf = Annotated[
    str | None,
    typer.Option("-n", "--namespace", metavar="NAME", help="Namespace of the job.", show_default=False),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="The operator's settings; default: its own.", show_default=False),
]
Output = Annotated[Form, typer.Option("-o", "--output", help="JSON is a List.")]


def render(
    file: Manifest, namespace: NamespaceOf = None, settings: SettingsFile = None, output: Output = Form.YAML
) -> None:
    """Print the objects that the operator will create for a job: up to the pods of its first attempt, in this order.

    No cluster is asked. The job's uid, which only the API server can give, is a row of zeros; a digest of the image is
    as the settings have it. Exits with 2 when the job has a mistake.

    Examples:

    `finetune render job.yaml`

    `finetune render job.yaml -o json | jq '.items[].kind'`
    """
    with told_to_user():
        bodies = rendered(file, namespace, settings)
    if output is Form.JSON:
        typer.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}, indent=2))
    else:
        typer.echo(_as_yaml(bodies), nl=False)


def rendered(file: Path, namespace: str | None, settings: Path | None) -> list[dict[str, Any]]:
    """Return the objects for the job in `file`; raises ConfigInvalid with all mistakes of either file."""
    document = load_file(file)
    if not isinstance(document, JobManifest):
        hint = "`finetune run` takes it; a cluster wants a manifest around it"
        raise ConfigInvalid.of([Problem(str(file), "is a training file, not a FinetuneJob", hint)])
    # TorchX, from which the pods are made, takes a while to import.
    from finetune_operator.render import render_children
    from finetune_operator.settings import Settings
    from finetune_operator.settings_file import load_settings

    job = document.job.model_dump(mode="json", by_alias=True, exclude_unset=True)
    job["metadata"]["namespace"] = _namespace(document, namespace)
    return render_children(job, load_settings(settings) if settings else Settings())


def _namespace(document: JobManifest, wanted: str | None) -> str:
    own = document.job.metadata.namespace
    if own and wanted and own != wanted:
        raise ConfigInvalid.of([Problem("metadata.namespace", f"is {own}, and --namespace says {wanted}")])
    return wanted or own or _DEFAULT_NAMESPACE


def _as_yaml(bodies: list[dict[str, Any]]) -> str:
    from finetune_cli.yaml_writing import written
    from finetune_operator.render import PLACEHOLDER_UID

    note = f"# {PLACEHOLDER_UID} stands for the uid that the API server will give the job.\n"
    return note + "".join(f"---\n{written(body)}" for body in bodies)
