"""`finetune wait`: ends when the job does, with its exit code."""

from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import Context, JobName, Kubeconfig, Namespace
from finetune_cli.cluster.session import Place, ask_cluster
from finetune_cli.errors import told_to_user

if TYPE_CHECKING:
    from finetune_operator.cluster.client import Client

For = Annotated[
    str, typer.Option("--for", metavar="CONDITION", help="A condition or state: Complete, Running, Suspended, …")
]
Timeout = Annotated[
    str | None, typer.Option("--timeout", metavar="TIME", help="As 90s, 30m or 1h30m; default: for ever.")
]


def wait(
    name: JobName,
    wanted: For = "Complete",
    timeout: Timeout = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Wait for a job in the cluster.

    Exits with 0 once the condition is true or the job is in this state. A job that ends otherwise is not waited
    for any longer: the exit code is then that of its outcome, as of `finetune run`, or 1 when there is no other.
    124: the time is over; 69: the cluster cannot be asked, or has no such job.

    Examples:

    `finetune wait my-job && echo trained`

    `finetune wait my-job --for Running --timeout 10m`
    """
    from finetune_cli.cluster.conclusion import aim
    from finetune_cli.cluster.waiting import seconds_of

    with told_to_user():
        aimed_at, seconds = aim(wanted), None if timeout is None else seconds_of(timeout)

    async def work(client: "Client", where: str) -> int:
        from finetune_cli.cluster.screens import one_line
        from finetune_cli.cluster.waiting import wait_for_job

        with one_line() as see:
            ended = await wait_for_job(client, where, name, aimed_at, seconds, see)
        typer.echo(ended.sentence, err=ended.code != 0)
        return ended.code

    ask_cluster(Place(kubeconfig, context, namespace), work)
