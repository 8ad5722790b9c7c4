"""`finetune status`: how jobs are."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import AllNamespaces, Context, Kubeconfig, Namespace
from finetune_cli.cluster.session import Place, ask_cluster

if TYPE_CHECKING:
    from finetune_operator.cluster.client import Client

MaybeName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Name of a FinetuneJob; default: a table of all.")
]
Watch = Annotated[bool, typer.Option("-w", "--watch", help="Go on as things change; a single job until it is over.")]


class Form(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[Form, typer.Option("-o", "--output", help="JSON is one object, or one a line with --watch.")]


def status(
    name: MaybeName = None,
    watch: Watch = False,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    output: Output = Form.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show jobs in the cluster: state, step, loss, speed, time left, attempts and what to do next.

    With --watch and a NAME, exits like `finetune wait NAME`. 69: the cluster cannot be asked, or has no such job.

    Examples:

    `finetune status`

    `finetune status my-job --watch`

    `finetune status my-job -o json | jq .status.progress`
    """
    if name and all_namespaces:
        raise typer.BadParameter("a job has one namespace: NAME and --all-namespaces exclude each other")

    async def work(client: "Client", where: str) -> int:
        from finetune_cli.cluster.status_show import StatusShow

        show = StatusShow(client, None if all_namespaces else where, name, as_json=output is Form.JSON)
        return await (show.on_and_on() if watch else show.once())

    ask_cluster(Place(kubeconfig, context, namespace), work)
