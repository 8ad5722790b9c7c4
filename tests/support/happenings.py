"""What may happen to a job and its cluster, one small step at a time."""

from collections.abc import Callable

from finetune_api.names import TRAINER_ROLE
from finetune_api.outcomes import Outcome
from finetune_operator.observed import Missing
from support.fake_cluster import Body, FakeCluster

Happening = Callable[[FakeCluster, int], None]


def _one(cluster: FakeCluster, number: int, *phases: str) -> Body | None:
    pods = cluster.pods(*phases)
    return pods[number % len(pods)] if pods else None


def _start_all(cluster: FakeCluster, number: int) -> None:
    cluster.run_all()


def _start_one(cluster: FakeCluster, number: int) -> None:
    if pod := _one(cluster, number, "Pending"):
        cluster.run(pod)


def _finish(cluster: FakeCluster, number: int) -> None:
    for pod in cluster.pods("Running"):
        cluster.end(pod, Outcome.SUCCEEDED, step=number)


def _finish_one(cluster: FakeCluster, number: int) -> None:
    if pod := _one(cluster, number, "Running"):
        cluster.end(pod, Outcome.SUCCEEDED)


def _fail(cluster: FakeCluster, number: int) -> None:
    outcomes = [one for one in Outcome if one is not Outcome.SUCCEEDED]
    if pod := _one(cluster, number, "Running"):
        cluster.end(pod, outcomes[number % len(outcomes)], rank=0, step=number)


def _crash(cluster: FakeCluster, number: int) -> None:
    if pod := _one(cluster, number, "Running"):
        cluster.exit(pod, (1, 137, 143, 75)[number % 4], reason="OOMKilled" if number % 4 == 1 else "")


def _reject(cluster: FakeCluster, number: int) -> None:
    if pod := _one(cluster, number, "Pending"):
        pod["status"] = {"phase": "Failed", "reason": "OutOfcpu", "message": "Node did not have enough cpu"}


def _evict(cluster: FakeCluster, number: int) -> None:
    if pod := _one(cluster, number, "Running", "Pending"):
        cluster.evict(pod)


def _vanish(cluster: FakeCluster, number: int) -> None:
    if pod := _one(cluster, number):
        cluster.remove(pod, seen=bool(number % 2))


def _kubelet(cluster: FakeCluster, number: int) -> None:
    cluster.kubelet(seen=bool(number % 2))


def _node(cluster: FakeCluster, number: int) -> None:
    """A node goes, or comes back; one that is gone comes back without its pods."""
    name = f"node-{number % 2}"
    if cluster.nodes.get(name) != "Ready":
        for pod in [pod for pod in cluster.pods() if pod["spec"].get("nodeName") == name and name not in cluster.nodes]:
            cluster.remove(pod)
        cluster.nodes[name] = "Ready"
    elif number % 4 < 2:
        cluster.nodes[name] = "NotReady"
    else:
        del cluster.nodes[name]
    cluster.strand()


def _wait(cluster: FakeCluster, number: int) -> None:
    cluster.wait((1, 5, 60, 4000)[number % 4])


def _suspend(cluster: FakeCluster, number: int) -> None:
    cluster.edit(suspend=not cluster.job["spec"].get("runPolicy", {}).get("suspend", False))


def _edit(cluster: FakeCluster, number: int) -> None:
    cluster.edit(maxRestarts=number % 3)


def _hold_up(cluster: FakeCluster, number: int) -> None:
    if pod := _one(cluster, number, "Pending"):
        said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}
        pod["status"]["conditions"] = [said]


def _refuse(cluster: FakeCluster, number: int) -> None:
    messages = ["exceeded quota: compute", "is invalid: spec"]
    cluster.refuse(403, messages[number % 2])


def _code(cluster: FakeCluster, number: int) -> None:
    cluster.code = {"metadata": {"name": "code"}, "data": {"preprocessing.py": f"x = {number % 2}"}}


def _mount(cluster: FakeCluster, number: int) -> None:
    """A pod gets a node, and waits there for a ConfigMap that somebody creates later."""
    if pod := _one(cluster, number, "Pending"):
        pod["spec"]["nodeName"] = "node-0"
    gone = Missing("ConfigMap", "arc-easy-data", 'configmaps "arc-easy-data" not found')
    cluster.missing = () if cluster.missing else (gone,)


def _silence(cluster: FakeCluster, number: int) -> None:
    """All pods run, and rank 0 stops telling its progress, or tells it again."""
    cluster.run_all()
    cluster.progress_error = "connection refused" if number % 4 else None


def _resize(cluster: FakeCluster, number: int) -> None:
    """Somebody changes the number of nodes of an elastic job."""
    if "elastic" in cluster.job["spec"]:
        cluster.job["spec"]["nodes"] = 1 + number % 4
        cluster.job["metadata"]["generation"] += 1


def _delete_job(cluster: FakeCluster, number: int) -> None:
    """Now and then somebody deletes the job while something happens to its pods."""
    if number > 8:
        _break(cluster, number)
        cluster.job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"


def _break(cluster: FakeCluster, number: int) -> None:
    """All pods start, and one crashes before anybody looks."""
    cluster.run_all()
    _crash(cluster, number)


def _work(cluster: FakeCluster, number: int) -> None:
    """Training goes on until every pod of the newest attempt has ended well."""
    cluster.run_all()
    for pod in cluster.pods("Running", role=TRAINER_ROLE):
        cluster.end(pod, Outcome.SUCCEEDED)


HAPPENINGS: tuple[Happening, ...] = (
    *(_start_all, _start_one, _finish, _finish_one, _fail, _crash, _reject, _evict, _vanish, _kubelet, _node),
    *(_wait, _suspend, _edit, _hold_up, _refuse, _code, _delete_job, _work, _work, _mount, _silence, _resize),
    # What makes runs go on is needed more often than what ends them.
    *(_start_all, _start_all, _kubelet, _kubelet, _wait, _break, _break, _break),
)
