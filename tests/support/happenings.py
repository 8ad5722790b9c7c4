"""What may happen to a job and its cluster, one small step at a time."""

from collections.abc import Callable

from finetune_api.names import TRAINER_ROLE
from finetune_api.outcomes import Outcome
from finetune_api.status import ProgressStatus
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
        cluster.hold_up(pod)


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


def _hang(cluster: FakeCluster, number: int) -> None:
    """A rank falls silent, and every node says which of its own was the slowest."""
    for rank, pod in enumerate(cluster.pods("Running", role=TRAINER_ROLE)):
        told = {"hang": {"beats": (number * 7 + rank * 3) % 10, "frozen": (number + rank) % 3 == 0}}
        cluster.end(pod, Outcome.RETRYABLE, facts=told, reason="Hang", rank=rank, step=number)
        if number % 2:
            return


def _preflight(cluster: FakeCluster, number: int) -> None:
    """All pods start, and what they test before the run fails for one of them."""
    cluster.run_all()
    for pod in cluster.pods("Running", role=TRAINER_ROLE):
        cluster.end(pod, Outcome.RETRYABLE, facts={"suspects": [number % 3]}, reason="PreflightFailed")


def _supersede(cluster: FakeCluster, number: int) -> None:
    """A pod finds the claim of a later attempt."""
    if pod := _one(cluster, number, "Running"):
        cluster.end(pod, Outcome.RETRYABLE, facts={"claimedAttempt": number * 3}, reason="Superseded")


def _no_room(cluster: FakeCluster, number: int) -> None:
    """Some pods get a node and start, the others find none, and time passes."""
    pods = cluster.pods("Pending", role=TRAINER_ROLE)
    for pod in pods[: number % 3]:
        cluster.run(pod)
    for pod in pods[number % 3 :]:
        cluster.hold_up(pod)
    cluster.wait(1 if number % 4 == 1 else 61)


def _lose_for_good(cluster: FakeCluster, number: int) -> None:
    """A node goes while all pods run, and what follows has one node less."""
    cluster.run_all()
    cluster.nodes[f"node-{number % 3}"] = "NotReady"
    cluster.strand()


def _slow_save(cluster: FakeCluster, number: int) -> None:
    """All pods run, and rank 0 tells how long its saves take."""
    cluster.run_all()
    step = (cluster.progress.step if cluster.progress and cluster.progress.step else 0) + number
    cluster.progress = ProgressStatus(
        step=step, last_checkpoint_step=step, save_seconds=number**4, step_seconds=number, last_step_time=cluster.now
    )


def _resize_running(cluster: FakeCluster, number: int) -> None:
    """Somebody changes the number of nodes while all pods run."""
    cluster.run_all()
    _resize(cluster, number)


def _stop_by_kueue(cluster: FakeCluster, number: int) -> None:
    """Kueue takes all pods away for another workload."""
    for pod in cluster.pods("Running"):
        cluster.evict(pod, "TerminationTarget")


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


def _fill(cluster: FakeCluster, number: int) -> None:
    """A quota is used up, or has room again; meanwhile what was to be replaced is gone."""
    cluster.full = not cluster.full
    cluster.reconcile()
    cluster.kubelet()
    cluster.wait(31)


def _forget(cluster: FakeCluster, number: int) -> None:
    """Now and then a job loses its status, as when it is restored from a backup while its pods run."""
    if number > 8:
        cluster.run_all()
        cluster.job.pop("status", None)


def _cut_short(cluster: FakeCluster, number: int) -> None:
    """Two attempts in a row end without costing anything: of each a pod is taken away, or gives up on its peers."""
    for turn in range(2):
        _settle_down(cluster)
        pending = cluster.pods("Pending", role=TRAINER_ROLE)
        for pod in pending[:1] if (number >> turn) % 2 else pending:
            cluster.run(pod)
        cluster.reconcile()
        if running := cluster.pods("Running", role=TRAINER_ROLE):
            cluster.end(running[0], Outcome.RETRYABLE if (number >> turn) % 2 else Outcome.PREEMPTED)
        _settle_down(cluster)


def _settle_down(cluster: FakeCluster) -> None:
    """Time passes until whatever waited is decided."""
    for _ in range(6):
        cluster.reconcile()
        cluster.kubelet()
        cluster.wait(150)


HAPPENINGS: tuple[Happening, ...] = (
    *(_start_all, _start_one, _finish, _finish_one, _fail, _crash, _reject, _evict, _vanish, _kubelet, _node),
    *(_wait, _suspend, _edit, _hold_up, _refuse, _code, _delete_job, _work, _work, _mount, _silence, _resize),
    *(
        _fill,
        _hang,
        _preflight,
        _supersede,
        _no_room,
        _lose_for_good,
        _slow_save,
        _resize_running,
        _stop_by_kueue,
        _no_room,
    ),
    # What makes runs go on is needed more often than what ends them.
    *(_start_all, _start_all, _kubelet, _kubelet, _wait, _break, _break, _break),
)


def _run_out_of_nodes(cluster: FakeCluster, number: int) -> None:
    """All pods of an attempt end, and of the next one none finds a node, as those that are left are to be avoided."""
    _preflight(cluster, number)
    for _ in range(3):
        cluster.reconcile()
    _no_room(cluster, 3 * number)


PLACING: tuple[Happening, ...] = (
    *(_start_all, _start_all, _kubelet, _kubelet, _no_room, _no_room, _lose_for_good, _node, _preflight, _supersede),
    *(_hang, _break, _slow_save, _slow_save, _resize, _resize_running, _resize_running, _suspend, _wait, _evict),
    *(_stop_by_kueue, _finish_one, _start_one, _hold_up, _run_out_of_nodes, _run_out_of_nodes),
    *(_forget, _cut_short, _cut_short, _cut_short),
)
"""What decides how many nodes an attempt has, which, and how long it may save."""
