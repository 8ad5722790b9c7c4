"""A new job is judged once, and what every attempt uses is frozen."""

from dataclasses import replace
from typing import Any

import pytest

from finetune_api.job.policies import REQUIRED
from finetune_api.reasons import ConditionType, State
from finetune_api.status import condition_of
from finetune_operator.settings import Settings
from support.configs import manifest, training
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, job, local_training, running
from support.restricted import breaches

CODE = {"configMap": {"name": "code"}}
CHANGED = {"metadata": {"name": "code"}, "data": {"preprocessing.py": "x = 2"}}


def failure(cluster: FakeCluster) -> tuple[str, str]:
    """Why the job has failed."""
    assert cluster.status.failure is not None
    return cluster.status.failure.reason, cluster.status.failure.message


def test_ranks_that_cannot_share_the_batch_are_refused_at_once() -> None:
    cluster = FakeCluster(job(processesPerNode=3))
    cluster.settle()
    assert failure(cluster)[0] == "ConfigInvalid"
    assert "spec.config.global_train_batch_size" in failure(cluster)[1]


def test_a_broken_rule_of_the_job_is_not_the_configurations_fault() -> None:
    cluster = FakeCluster(manifest(local_training(), output={}))
    cluster.settle()
    assert failure(cluster)[0] == "SpecInvalid"
    assert "spec.output" in failure(cluster)[1]


def test_keys_without_effect_are_told() -> None:
    cluster = FakeCluster(manifest(local_training(profiler={}, save_overwrite=True)))
    (event, *_) = cluster.plan().events
    assert (event.reason, event.warning) == ("ConfigKeysIgnored", True)
    assert event.message == "These keys of spec.config have no effect here: profiler, save_overwrite"
    cluster.settle()
    assert cluster.events.count("ConfigKeysIgnored") == 1


@pytest.mark.parametrize(
    ("spec", "path", "allowing"),
    [
        ({"scheduling": {"priorityClassName": "x"}}, "scheduling.priorityClassName", Settings(priority_classes=("x",))),
        ({"scheduling": {"runtimeClassName": "x"}}, "scheduling.runtimeClassName", Settings(runtime_classes=("x",))),
        ({"serviceAccountName": "x"}, "serviceAccountName", Settings(service_accounts=("x",))),
    ],
    ids=["priority class", "runtime class", "service account"],
)
def test_what_is_not_on_the_list_stalls_the_job_until_it_is_allowed(
    spec: dict[str, Any], path: str, allowing: Settings
) -> None:
    cluster = FakeCluster(inline_job(**spec))
    cluster.settle()
    assert (cluster.status.state, cluster.objects) == (State.STALLED, {})
    told = condition_of(cluster.status.conditions, ConditionType.STALLED)
    assert told is not None
    assert told.message == f"The operator's policy forbids spec.{path}: x is not among the allowed ones (none)"
    cluster.settings = allowing
    cluster.settle()
    pod = cluster.pods()[0]["spec"]
    assert pod[path.removeprefix("scheduling.")] == "x"
    assert list(breaches(pod)) == []


def test_a_job_waits_for_its_code() -> None:
    cluster = FakeCluster(inline_job(code=CODE))
    code, cluster.code = cluster.code, None
    cluster.settle()
    assert (cluster.objects, cluster.status.frozen, cluster.status.state) == ({}, None, State.PENDING)
    cluster.code = code
    cluster.settle()
    assert len(cluster.pods()) == 2


def test_code_that_changed_fails_the_next_attempt_and_not_the_one_that_runs() -> None:
    cluster = running(FakeCluster(inline_job(code=CODE)))
    cluster.code = CHANGED
    cluster.settle()
    assert cluster.status.state == State.RUNNING
    failed_over(cluster)
    cluster.settle()
    assert failure(cluster)[0] == "CodeChanged"


def test_a_new_default_image_does_not_change_a_run_midway() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.settings = replace(cluster.settings, trainer_image="trainer:2")
    failed_over(cluster)
    cluster.settle()
    images = {pod["spec"]["containers"][0]["image"] for pod in cluster.pods("Pending")}
    (image,) = images
    assert image.startswith("docker.io/library/finetune-trainer@sha256:")


def test_the_frozen_configuration_is_not_made_anew_from_another_one() -> None:
    cluster = running(FakeCluster(inline_job()))
    del cluster.objects["ConfigMap", "arc-easy-config"]
    cluster.settle()
    assert ("ConfigMap", "arc-easy-config") in cluster.objects
    cluster.job["spec"]["config"]["seed"] = 99
    cluster.settle()
    assert cluster.status.state == State.RUNNING
    del cluster.objects["ConfigMap", "arc-easy-config"]
    cluster.settle()
    assert failure(cluster)[0] == "ConfigInvalid"


def test_what_rank_0_could_not_fetch_is_refused_before_it_tries() -> None:
    cluster = FakeCluster(manifest(training(), prepare={"mode": "Inline"}))
    cluster.settle()
    reason, message = failure(cluster)
    assert reason == "SpecInvalid"
    assert "spec.prepare.mode: Inline cannot fetch tiny" in message


@pytest.mark.parametrize("affinity", [{"podAffinity": 3}, {"podAffinity": {REQUIRED: {"topologyKey": "rack"}}}])
def test_an_affinity_of_another_form_is_refused_in_words(affinity: dict[str, Any]) -> None:
    cluster = FakeCluster(job(scheduling={"topologyKey": "rack", "affinity": affinity}))
    cluster.settle()
    assert failure(cluster)[0] == "SpecInvalid"
    assert "spec.scheduling.affinity: podAffinity" in failure(cluster)[1]
