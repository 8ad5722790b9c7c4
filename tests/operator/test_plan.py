"""A job from its creation to its end, as the cluster sees it."""

from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from finetune_api.reasons import AttemptOutcome, State
from finetune_operator.view import amended
from support.configs import manifest
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, job, local_training, running, state

SUPPORT = [("ConfigMap", "arc-easy-config"), ("NetworkPolicy", "arc-easy"), ("Service", "arc-easy")]
FIRST = ["arc-easy-0-0", "arc-easy-0-1"]
SECOND = ["arc-easy-1-0", "arc-easy-1-1"]


def test_a_new_job_prepares_before_any_training_pod_exists() -> None:
    cluster = FakeCluster(job())
    cluster.settle()
    assert sorted(key for key in cluster.objects if key[0] != "Pod") == SUPPORT
    assert cluster.names() == ["arc-easy-prepare"]
    assert state(cluster) == State.PREPARING
    cluster.run_all()
    cluster.settle()
    cluster.exit(cluster.pod("arc-easy-prepare"), 0, '{"outcome": "Succeeded", "dataset": {"rows": 9, "tokens": 99}}')
    cluster.settle()
    assert cluster.names() == [*FIRST, "arc-easy-prepare"]
    assert cluster.status.dataset is not None
    assert cluster.status.dataset.rows == 9
    assert state(cluster) == State.STARTING


def test_a_job_that_prepares_inline_creates_everything_in_one_plan() -> None:
    cluster = FakeCluster(inline_job())
    decided = cluster.reconcile()
    assert cluster.names() == FIRST
    assert [body["kind"] for body in decided.create] == ["ConfigMap", "Service", "NetworkPolicy", "Pod", "Pod"]
    assert not cluster.reconcile().acts


@pytest.mark.parametrize(
    ("spec", "mode"),
    [
        ({"nodes": 1}, "Inline"),
        ({"nodes": 2}, "Pod"),
        ({"nodes": 1, "resources": {"limits": {"amd.com/gpu": 1}}}, "Pod"),
        ({"nodes": 1, "dataset": {"source": {"uri": "hf://org/data"}}}, "Pod"),
        ({"nodes": 1, "prepare": {"mode": "Pod"}}, "Pod"),
    ],
)
def test_auto_prepares_inline_for_one_node_without_gpus_and_with_local_sources(spec: dict[str, Any], mode: str) -> None:
    cluster = FakeCluster(job(**spec))
    cluster.settle()
    assert cluster.status.frozen is not None
    assert cluster.status.frozen.prepare_mode == mode


def test_a_run_whose_pods_succeed_is_complete() -> None:
    cluster = running(FakeCluster(inline_job()))
    assert cluster.status.state == State.RUNNING
    cluster.wait(60)
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED, step=4)
    cluster.settle()
    status = cluster.status
    assert (status.state, status.completion_time, status.active_seconds) == (State.COMPLETE, cluster.now, 60)
    assert status.outputs is not None
    assert status.outputs.model == "/output/model"
    assert cluster.names() == FIRST


def test_a_failed_attempt_is_followed_by_another_with_all_pods_anew() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-1"), Outcome.CRASHED, traceback="boom")
    recorded = cluster.reconcile()
    assert not recorded.create
    assert not recorded.delete
    assert [one.outcome for one in cluster.status.attempts] == [AttemptOutcome.FAILURE, None]
    cluster.settle()
    assert cluster.names() == FIRST
    assert "deletionTimestamp" in cluster.pod("arc-easy-0-0")["metadata"]
    cluster.kubelet()
    cluster.settle()
    assert cluster.names() == ["arc-easy-0-1", *SECOND]
    assert cluster.status.restarts == 1


def test_a_mistake_in_the_configuration_fails_the_job_and_creates_nothing() -> None:
    cluster = FakeCluster(manifest(local_training(max_duratoin="1ep")))
    cluster.settle()
    assert cluster.objects == {}
    assert cluster.status.failure is not None
    assert cluster.status.failure.reason == "ConfigInvalid"
    assert "spec.config.max_duratoin" in cluster.status.failure.message
    assert "max_duration" in cluster.status.failure.message


def test_a_users_mistake_is_not_tried_again() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.DIVERGED, step=3, rank=0)
    cluster.settle()
    status = cluster.status
    assert (status.state, len(status.attempts)) == (State.FAILED, 1)
    assert status.failure is not None
    assert (status.failure.reason, status.failure.step, status.failure.pod) == ("Diverged", 3, "arc-easy-0-0")


def test_the_budget_of_restarts_ends() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 1}))
    for _ in range(2):
        running(cluster)
        cluster.exit(cluster.pods("Running")[0], 1)
        cluster.settle()
        cluster.kubelet()
        cluster.wait(60)
    cluster.settle()
    assert cluster.status.state == State.FAILED
    assert cluster.events.count("RestartsExhausted") == 1


def test_a_finished_job_tells_that_it_has_seen_a_later_edit() -> None:
    cluster = running(FakeCluster(inline_job()))
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED)
    cluster.settle()
    before = cluster.status
    cluster.edit(ttlSecondsAfterFinished={"succeeded": 7200})
    cluster.settle()
    assert cluster.status == amended(before, observed_generation=2)
