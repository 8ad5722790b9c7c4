"""The number of nodes may change between attempts, within `elastic`."""

import pytest

from finetune_api.reasons import State
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, running


@pytest.mark.parametrize(("wanted", "nodes"), [(4, 4), (1, 1), (3, 2)])
def test_the_next_attempt_has_as_many_nodes_as_can_share_the_batch(wanted: int, nodes: int) -> None:
    cluster = running(FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 4})))
    cluster.job["spec"]["nodes"] = wanted
    cluster.settle()
    assert len(cluster.pods()) == 2
    failed_over(cluster)
    running(cluster)
    assert cluster.status.attempts[-1].nodes == nodes
    assert [name for name in cluster.names() if name.startswith("arc-easy-1-")] == [
        f"arc-easy-1-{rank}" for rank in range(nodes)
    ]
    assert cluster.status.state == State.RUNNING


def test_when_no_number_fits_the_last_one_stays() -> None:
    cluster = running(FakeCluster(inline_job(elastic={"minNodes": 2, "maxNodes": 3})))
    cluster.job["spec"]["elastic"] = {"minNodes": 3, "maxNodes": 3}
    cluster.job["spec"]["nodes"] = 3
    failed_over(cluster)
    running(cluster)
    assert cluster.status.attempts[-1].nodes == 2


def test_a_number_that_is_changed_before_the_first_attempt_fits_as_well() -> None:
    cluster = FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 4}, runPolicy={"suspend": True}))
    cluster.settle()
    cluster.job["spec"]["nodes"] = 3
    cluster.edit(suspend=False)
    cluster.settle()
    assert cluster.status.attempts[-1].nodes == 2
