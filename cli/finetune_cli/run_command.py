"""`finetune run`: a fine-tuned model from one file, on this machine."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune_api.config import check_world
from finetune_cli.arguments import File, Json, Mounts, Overrides
from finetune_cli.attempts import Attempt, make_room, next_attempt
from finetune_cli.errors import require_trainer, told_to_user
from finetune_cli.inputs import LocalInput, localised
from finetune_trainer.launcher.devices import visible_gpus

if TYPE_CHECKING:
    from finetune_cli.local_run import Shape

GRACE_SECONDS = 30.0

Processes = Annotated[
    int | None, typer.Option("--nproc", min=1, help="Processes per node; default: one per GPU, or one.")
]
NodeCount = Annotated[int | None, typer.Option("--nodes", min=1, help="Simulated nodes; default: one, or the job's.")]
OutputDir = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Where results go; default: ./NAME-output.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue what is in the output directory.")]
Port = Annotated[
    int | None, typer.Option("--progress-port", min=0, max=65535, help="Serve /progress and /metrics here.")
]
Grace = Annotated[
    float | None, typer.Option("--grace", min=0, help="Seconds to save after a signal; default: 30, or the job's.")
]
LauncherArguments = Annotated[list[str] | None, typer.Option("--launcher-argument", hidden=True)]


def run(
    file: File,
    overrides: Overrides = None,
    nproc: Processes = None,
    nodes: NodeCount = None,
    output: OutputDir = None,
    resume: Resume = False,
    mounts: Mounts = None,
    progress_port: Port = None,
    grace: Grace = None,
    as_json: Json = False,
    launcher_arguments: LauncherArguments = None,
) -> None:
    """Fine-tune on this machine with the very code that runs in the cluster.

    Ctrl-C saves a checkpoint and leaves; a second one kills. Exits with the trainer's code: 0 succeeded,
    2 configuration, 3 dataset, 4 preprocessing, 5 model, 6 out of memory, 7 diverged, 75 try again,
    130 interrupted, 143 preempted, anything else crashed.

    Examples:

    `finetune run train.yaml`

    `finetune run train.yaml max_duration=20ba optimizer.lr=1e-4 --output ./try`

    `finetune run train.yaml --output ./try --resume`

    `finetune run job.yaml --mount arc-easy=./data --nproc 2`
    """
    begun = time.monotonic()
    with told_to_user():
        given = localised(file, overrides or [], mounts or [])
        shape = _shape(given, nproc, nodes, grace, progress_port)
        shape = replace(shape, launcher_arguments=tuple(launcher_arguments or ()))
        attempt = _attempt(given, output, resume)
        require_trainer()
        make_room(attempt)
    raise typer.Exit(_run(given, attempt, shape, as_json, begun))


def _shape(given: LocalInput, nproc: int | None, nodes: int | None, grace: float | None, port: int | None) -> "Shape":
    from finetune_cli.local_run import Shape

    spec = given.job.spec if given.job else None
    count = nodes or (spec.nodes if spec else 1)
    gpus = visible_gpus() // count
    processes = nproc or (spec.processes_per_node if spec else None) or max(1, gpus)
    check_world(given.config, count * processes)
    patience = float(spec.run_policy.grace_period_seconds) if spec else GRACE_SECONDS
    return Shape(count, processes, gpus, patience if grace is None else grace, port)


def _attempt(given: LocalInput, output: Path | None, resume: bool) -> Attempt:
    from finetune_cli.summary import default_output

    chosen = output or given.output or default_output(given.name)
    resume_from = given.job.spec.output.resume_from if given.job else None
    return next_attempt(chosen.absolute(), resume=resume or given.config.autoresume, resume_from=resume_from)


def _run(given: LocalInput, attempt: Attempt, shape: "Shape", as_json: bool, begun: float) -> int:
    from rich.console import Console

    from finetune_cli import summary
    from finetune_cli.display import open_display
    from finetune_cli.local_run import plan_launch, run_attempt

    console = Console(file=sys.stderr if as_json else sys.stdout)
    display = open_display(console)
    try:
        message = run_attempt(given, attempt, plan_launch(given, attempt, shape), display)
    finally:
        display.close()
    seconds = time.monotonic() - begun
    for line in summary.as_text(message, attempt, seconds):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(summary.as_json(message, attempt, seconds))
    return message.exit_code
