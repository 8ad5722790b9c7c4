"""Walks through generated histories of a job, holding every plan against the laws."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from finetune_api.job.policies import REQUIRED
from support.fake_cluster import FakeCluster, Planner
from support.happenings import HAPPENINGS, PLACING
from support.operator_jobs import inline_job, job
from support.plan_case import Law
from support.plan_laws import LAWS, check

CODE = {"configMap": {"name": "code"}}
CLAIM = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": 1}}}}}
SIDECAR = {"name": "watcher", "image": "watcher:1", "env": [{"name": "A", "value": "1"}]}
POLICY = {"ttlSecondsAfterFinished": {"succeeded": 3600, "failed": 0}, "cleanPods": "All", "maxRestarts": 1}
DEADLINES = {"activeDeadlineSeconds": 70, "pendingDeadlineSeconds": 100, "deleteJobAfterSeconds": 5000}
DATASET = {"source": {"uri": "s3://bucket/arc", "secretRef": {"name": "token"}}}

ZONES = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]} for zone in ("a", "b")]
TO_NODES = {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": ZONES}}}}

JOBS: tuple[dict[str, Any], ...] = (
    inline_job(),
    job(code=CODE),
    job(nodes=1, runPolicy=POLICY),
    inline_job(nodes=3, runPolicy=DEADLINES, output=CLAIM),
    job(dataset=DATASET, podTemplate={"sidecars": [SIDECAR]}, runPolicy={"cleanPods": "None", "maxRestarts": 0}),
    inline_job(managedBy="kueue.x-k8s.io/multikueue"),
    job(processesPerNode=3),
    inline_job(elastic={"minNodes": 1, "maxNodes": 4}, scheduling={"gang": "Volcano", "queueName": "gpu"}),
    job(scheduling={"gang": "Kueue", "queueName": "gpu", "topologyKey": "rack"}, runPolicy={"maxRestarts": 2}),
    inline_job(nodes=4, elastic={"minNodes": 1, "maxNodes": 4}, runPolicy={"maxRestarts": 9}, scheduling=TO_NODES),
)
"""Job 6 has a configuration that its ranks cannot share."""
NAMESPACED = 8
"""Of this job the operator sees its namespace alone, and no nodes."""

PLACED = (0, 7, 9, 9, 9)
"""Jobs with several nodes, whose number may change but for the first."""

STEPS = st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 11)), max_size=14)
WEIGHTED = (0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 8, 9, 9, 9, 9)

MOST_PLANS = 10
"""So many plans settle any state; one that needs more would never come to rest."""


def explore(
    planner: Planner, chosen: int, steps: list[Any], seen: Counter[str], laws: Sequence[Law] = LAWS
) -> FakeCluster:
    """Let `steps` happen to a job, and settle after each; raises LawBroken when a plan breaks one of `laws`."""
    cluster = FakeCluster(JOBS[chosen], planner)
    cluster.watches_nodes = chosen != NAMESPACED
    _settle(cluster, seen, laws)
    for happening, number in steps:
        happening(cluster, number)
        _settle(cluster, seen, laws)
    return cluster


def _settle(cluster: FakeCluster, seen: Counter[str], laws: Sequence[Law]) -> None:
    for _ in range(MOST_PLANS):
        decided = check(cluster, seen, laws)
        if not decided.acts:
            return
        cluster.apply(decided)
    raise AssertionError(f"still acting after {MOST_PLANS} plans")


HISTORIES = {"chosen": st.sampled_from(WEIGHTED), "steps": STEPS}
PLACING_HISTORIES = {
    "chosen": st.sampled_from(PLACED),
    "steps": st.lists(st.tuples(st.sampled_from(PLACING), st.integers(0, 11)), min_size=6, max_size=20),
}
"""Histories of jobs on several nodes, in which nodes are lost, missing, bad and slow."""
