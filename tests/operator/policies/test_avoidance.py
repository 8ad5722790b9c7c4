"""The next attempt keeps away from nodes that are known to be bad, for a while."""

from finetune_api.outcomes import Outcome
from finetune_api.status import ProgressStatus
from support.fake_cluster import FakeCluster, avoided
from support.operator_jobs import failed_over, inline_job, running


def preflight(cluster: FakeCluster, **suspects: list[int]) -> None:
    """Each running pod says which ranks it suspects: `r0` is what rank 0 says."""
    running(cluster)
    for rank, pod in enumerate(cluster.pods("Running")):
        facts = {"suspects": suspects.get(f"r{rank}", [])}
        cluster.end(pod, Outcome.RETRYABLE, facts=facts, reason="PreflightFailed")
    cluster.settle()


def avoids(cluster: FakeCluster) -> tuple[str, ...]:
    """What the newest attempt avoids."""
    return cluster.status.attempts[-1].avoided_nodes or ()


def test_the_node_of_a_suspect_is_avoided() -> None:
    cluster = FakeCluster(inline_job(nodes=4))
    preflight(cluster, r0=[2], r1=[2], r3=[2])
    assert avoids(cluster) == ("node-2",)
    assert {frozenset(avoided(pod)) for pod in cluster.pods("Pending")} == {frozenset({"node-2"})}
    assert cluster.status.failure is not None
    assert cluster.status.failure.reason == "PreflightFailed"


def test_a_node_that_reaches_nobody_accuses_all_the_others_and_is_accused_by_most() -> None:
    cluster = FakeCluster(inline_job(nodes=4))
    preflight(cluster, r0=[3], r1=[3], r2=[3], r3=[0, 1, 2])
    assert avoids(cluster) == ("node-3",)


def test_what_all_nodes_suffer_from_is_no_reason_to_avoid_all_of_them() -> None:
    cluster = FakeCluster(inline_job(nodes=4))
    preflight(cluster, r0=[1], r1=[2], r2=[3], r3=[0])
    assert avoids(cluster) == ()
    assert cluster.status.attempts[0].outcome == "Failure"


def test_ranks_that_are_not_there_are_no_suspects() -> None:
    cluster = FakeCluster(inline_job())
    preflight(cluster, r0=[7, 999])
    assert avoids(cluster) == ()


def test_it_is_avoided_until_an_attempt_has_saved_a_checkpoint() -> None:
    cluster = FakeCluster(inline_job(nodes=4, runPolicy={"maxRestarts": 9}))
    preflight(cluster, r0=[1])
    failed_over(cluster)
    cluster.wait(60)
    running(cluster)
    assert avoids(cluster) == ("node-1",)
    cluster.progress = ProgressStatus(step=9, last_checkpoint_step=8)
    cluster.settle()
    failed_over(cluster)
    cluster.settle()
    assert avoids(cluster) == ()


def lose(cluster: FakeCluster, node: str) -> None:
    """A node stops, and comes back when the attempt on it has been given up."""
    running(cluster)
    cluster.nodes[node] = "NotReady"
    cluster.settle()
    cluster.nodes[node] = "Ready"
    cluster.kubelet()
    cluster.wait(60)
    cluster.settle()


def test_a_node_that_was_lost_once_may_be_used_again_and_one_that_was_lost_twice_may_not() -> None:
    cluster = FakeCluster(inline_job())
    lose(cluster, "node-1")
    assert avoids(cluster) == ()
    lose(cluster, "node-1")
    assert avoids(cluster) == ("node-1",)


def test_at_most_ten_nodes_are_avoided() -> None:
    cluster = FakeCluster(inline_job(nodes=4, runPolicy={"maxRestarts": 9}))
    cluster.nodes = {f"node-{number}": "Ready" for number in range(30)}
    found = []
    for _ in range(9):
        preflight(cluster, r0=[1, 2, 3], r1=[1, 2, 3])
        cluster.wait(600)
        cluster.settle()
        found.append(len(avoids(cluster)))
    assert found == sorted(found)
    assert found[-2:] == [10, 10]


def test_a_node_of_any_name_that_kubernetes_allows_is_avoided_by_its_whole_name() -> None:
    cluster, name = running(FakeCluster(inline_job())), f"{'n' * 60}.{'d' * 60}.{'e' * 60}"
    cluster.nodes[name] = "Ready"
    cluster.pod("arc-easy-0-1")["spec"]["nodeName"] = name
    for pod in cluster.pods():
        cluster.end(pod, Outcome.RETRYABLE, reason="PreflightFailed", facts={"suspects": [1]})
    cluster.settle()
    assert cluster.status.attempts[-1].avoided_nodes == (name,)
