"""Stories of jobs during which an operator may die at any moment."""

from collections.abc import Callable, Mapping
from typing import Final

from finetune_api.names import TRAINER_ROLE
from finetune_api.outcomes import Outcome
from finetune_api.status import ProgressStatus
from support.exploring import CODE, DATASET
from support.fake_cluster import FakeCluster
from support.mortal import Operator, Story
from support.operator_jobs import inline_job, job

Step = Callable[[Operator], None]


def happens(action: Callable[[FakeCluster], object]) -> Step:
    """Something happens to the cluster."""

    def step(operator: Operator) -> None:
        action(operator.cluster)

    return step


def _end_all(cluster: FakeCluster) -> None:
    for pod in cluster.pods("Running", role=TRAINER_ROLE):
        cluster.end(pod, Outcome.SUCCEEDED, step=9)


def _crash(cluster: FakeCluster) -> None:
    cluster.exit(cluster.pods("Running")[-1], 1, "a stack")


def _say(cluster: FakeCluster) -> None:
    cluster.end(cluster.pods("Running")[0], Outcome.DIVERGED, rank=0, step=5)


def _evict(cluster: FakeCluster) -> None:
    cluster.evict(cluster.pods("Running")[-1])


def _lose_node(cluster: FakeCluster) -> None:
    cluster.nodes["node-1"] = "NotReady"


def _node_goes(cluster: FakeCluster) -> None:
    del cluster.nodes["node-1"]


def _prepared(cluster: FakeCluster) -> None:
    cluster.end(cluster.pods("Running")[0], Outcome.SUCCEEDED)


def _progress(cluster: FakeCluster) -> None:
    cluster.progress = ProgressStatus(step=7, last_checkpoint_step=5)
    cluster.first_step = 0


def _silence(cluster: FakeCluster) -> None:
    cluster.progress, cluster.first_step, cluster.progress_error = None, None, "connection refused"


def _quota(most: int | None) -> Step:
    def step(operator: Operator) -> None:
        operator.quota = most

    return step


RUN = happens(FakeCluster.run_all)
END = happens(_end_all)
CRASH = happens(_crash)
LEAVE = happens(FakeCluster.kubelet)
"""Pods that are asked to leave do so, seen by the operator."""
TELL = happens(_progress)


def wait(seconds: float) -> Step:
    """Time passes."""
    return happens(lambda cluster: cluster.wait(seconds))


def edit(**policy: object) -> Step:
    """Somebody edits the run policy."""
    return happens(lambda cluster: cluster.edit(**policy))


_AGAIN: Final = (LEAVE, wait(30), RUN)
_CLEAN: Final = {"ttlSecondsAfterFinished": {"succeeded": 3600, "failed": 60}, "cleanPods": "All"}

STORIES: Final[Mapping[str, Story]] = {
    "success": Story(inline_job(), (RUN, TELL, END)),
    "success after preparing": Story(job(code=CODE, dataset=DATASET), (RUN, happens(_prepared), RUN, END)),
    "preparing fails and is tried again": Story(
        job(), (RUN, CRASH, LEAVE, wait(30), RUN, happens(_prepared), RUN, END)
    ),
    "a crash and a retry": Story(inline_job(), (RUN, TELL, CRASH, *_AGAIN, END)),
    "crashes until the budget is spent": Story(
        inline_job(runPolicy={"maxRestarts": 1}), (RUN, CRASH, *_AGAIN, CRASH, LEAVE)
    ),
    "a drain": Story(inline_job(), (RUN, TELL, happens(_evict), *_AGAIN, END)),
    "a node is lost and comes back no more": Story(
        inline_job(), (RUN, happens(_lose_node), LEAVE, wait(30), RUN, happens(_node_goes), END)
    ),
    "suspended and resumed": Story(
        inline_job(), (RUN, TELL, edit(suspend=True), LEAVE, wait(60), edit(suspend=False), RUN, END)
    ),
    "the active deadline": Story(inline_job(runPolicy={"activeDeadlineSeconds": 70}), (RUN, TELL, wait(80), LEAVE)),
    "the pending deadline": Story(inline_job(runPolicy={"pendingDeadlineSeconds": 70}), (wait(80), LEAVE)),
    "a failure that is the user's": Story(inline_job(), (RUN, happens(_say), LEAVE)),
    "a quota": Story(
        inline_job(),
        (
            _quota(1),
            LEAVE,
            happens(FakeCluster.run_all),
            happens(_evict),
            LEAVE,
            wait(40),
            _quota(None),
            wait(40),
            RUN,
            END,
        ),
    ),
    "elastic": Story(
        inline_job(elastic={"minNodes": 1, "maxNodes": 4}),
        (RUN, TELL, happens(_evict), LEAVE, wait(700), wait(30), RUN, END),
    ),
    "rank 0 is silent": Story(inline_job(), (RUN, TELL, happens(_silence), wait(30), END)),
    "what is left goes in time": Story(job(runPolicy=_CLEAN), (RUN, happens(_prepared), RUN, END, wait(4000))),
}
