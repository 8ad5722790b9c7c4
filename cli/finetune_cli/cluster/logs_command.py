"""`finetune logs`: what the ranks of a job write, attempt after attempt."""

from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import Context, JobName, Kubeconfig, Namespace
from finetune_cli.cluster.session import Place, ask_cluster, say

if TYPE_CHECKING:
    from finetune_operator.cluster.client import Client

Rank = Annotated[int | None, typer.Option("--rank", min=0, help="Only this rank's lines; default: rank 0's.")]
Node = Annotated[int | None, typer.Option("--node", min=0, help="All that the pod of this node wrote, as it is.")]
Everything = Annotated[bool, typer.Option("--all", help="All ranks, in the order of time, each line with its rank.")]
Prepare = Annotated[bool, typer.Option("--prepare", help="The pod that fetches and prepares the data.")]
Attempt = Annotated[
    int | None, typer.Option("--attempt", min=0, help="Only this attempt, counted from 0; default: the newest.")
]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on, from attempt to attempt, until the job is over.")]
Tail = Annotated[int | None, typer.Option("--tail", min=0, help="Begin with at most so many lines.")]


def logs(
    name: JobName,
    rank: Rank = None,
    node: Node = None,
    everything: Everything = False,
    prepare: Prepare = False,
    attempt: Attempt = None,
    follow: Follow = False,
    tail: Tail = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print the log of a job in the cluster.

    A job has one pod per node and one or more ranks in each; rank R runs on node R // processesPerNode.
    Lines without a rank's mark are counted as those of the first rank of their node: rank 0 writes no mark, and neither
    does the launcher. Without an attempt there is the log of the pod that prepares. With -f, pods that do not exist
    yet are waited for; lines about the job itself go to stderr.

    Examples:

    `finetune logs my-job -f`

    `finetune logs my-job --rank 3 --tail 20`

    `finetune logs my-job --all --attempt 0 > attempt-0.log`
    """
    if sum((rank is not None, node is not None, everything, prepare)) > 1:
        raise typer.BadParameter("--rank, --node, --all and --prepare exclude each other")
    if prepare and attempt is not None:
        raise typer.BadParameter("--prepare belongs to no --attempt")

    async def work(client: "Client", where: str) -> int:
        from finetune_cli.cluster.log_show import LogShow
        from finetune_cli.cluster.log_target import Choice

        choice = Choice(rank, node, everything, prepare, attempt)
        show = LogShow(client, where, name, choice, tail, typer.echo, say)
        return await (show.on_and_on() if follow else show.once())

    ask_cluster(Place(kubeconfig, context, namespace), work)
