from collections.abc import Iterator
from typing import Any

import pytest

from finetune_api.config.section import Section, child_sections
from finetune_api.errors import ConfigInvalid
from finetune_api.job import FinetuneJob, load_job
from support.training_files import minimal_config


def manifest(**spec: Any) -> dict[str, Any]:
    claim = {"persistentVolumeClaim": {"claimName": "results"}}
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": "arc-easy", "labels": {"team": "a"}, "uid": "42", "managedFields": [{}]},
        "spec": {"config": minimal_config(), "output": {"volume": claim}, **spec},
    }


def problems(document: Any) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load_job(document)
    return [str(problem) for problem in caught.value.problems]


def sections(model: type[Section]) -> Iterator[type[Section]]:
    yield model
    for children in child_sections(model).values():
        for child in children:
            yield from sections(child)


@pytest.mark.parametrize("model", sorted(set(sections(FinetuneJob)), key=str))
def test_every_field_of_every_part_has_a_description(model: type[Section]) -> None:
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_small_job_gets_static_defaults() -> None:
    spec = load_job(manifest()).spec
    assert (spec.nodes, spec.processes_per_node, spec.prepare.mode) == (1, None, "Auto")
    policy = spec.run_policy
    assert (policy.max_restarts, policy.suspend, policy.clean_pods) == (3, False, "Running")
    assert load_job(manifest(dataset={})).spec.dataset.mount_path == "/data"  # type: ignore[union-attr]


FULL: dict[str, Any] = {
    "model": {"source": {"uri": "hf://gpt2", "revision": "main", "secretRef": {"name": "hub"}}},
    "dataset": {"volume": {"persistentVolumeClaim": {"claimName": "arc-easy"}}, "mountPath": "/rows"},
    "code": {"configMap": {"name": "arc-easy-code"}},
    "nodes": 2,
    "elastic": {"minNodes": 1, "maxNodes": 8},
    "processesPerNode": 8,
    "resources": {
        "requests": {"cpu": 2, "memory": "16Gi", "nvidia.com/gpu": 8},
        "limits": {"nvidia.com/gpu": "8"},
    },
    "prepare": {"mode": "Pod", "resources": {"requests": {"cpu": "500m"}}},
    "runPolicy": {"activeDeadlineSeconds": 3600, "ttlSecondsAfterFinished": {"succeeded": 60, "failed": 600}},
    "scheduling": {"gang": "Kueue", "queueName": "gpu", "tolerations": [{"key": "gpu", "operator": "Exists"}]},
    "podTemplate": {
        "labels": {"example.com/team": "a"},
        "env": [{"name": "TOKENIZERS_PARALLELISM", "value": "false"}],
        "volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "10Gi"}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "sidecars": [{"name": "logs", "image": "example.com/logs:1"}],
    },
    "networking": {"rdmaResource": "rdma/hca", "env": [{"name": "NCCL_DEBUG", "value": "INFO"}]},
    "managedBy": "kueue.x-k8s.io/multikueue",
}


def test_a_job_survives_being_dumped_and_loaded() -> None:
    job = load_job(manifest(**FULL))
    dumped = job.model_dump(mode="json")
    assert dumped["spec"]["runPolicy"]["ttlSecondsAfterFinished"]["failed"] == 600
    assert load_job(dumped) == job


def test_the_training_configuration_is_kept_as_it_is() -> None:
    config = {**minimal_config(), "max_seq_len": "${variables.n}", "eval_loader": None, "whatever": 1}
    assert load_job(manifest(config=config)).spec.config == config


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"node": 2}, "spec.node: unknown key; did you mean nodes?"),
        ({"runPolicy": {"maxRestart": 1}}, "spec.runPolicy.maxRestart: unknown key; did you mean maxRestarts?"),
        ({"maxRestarts": 1}, "spec.maxRestarts: unknown key; did you mean spec.runPolicy.maxRestarts?"),
        ({"run_policy": {}}, "spec.run_policy: unknown key; did you mean runPolicy?"),
        ({"nodes": 0}, "spec.nodes: must be at least 1, got 0"),
        ({"nodes": "2"}, "spec.nodes: expected a whole number, got '2'; write it without quotes"),
        ({"prepare": {"mode": "inline"}}, "spec.prepare.mode: expected one of Auto, Pod, Inline, got 'inline'; "
         "did you mean Inline?"),
        ({"output": {}}, "spec.output: give volume or volumeClaimTemplate, exactly one"),
        ({"output": None}, "spec.output: required key is missing"),
        ({"config": None}, "spec.config: required key is missing"),
        ({"elastic": {"minNodes": 2, "maxNodes": 4}}, "spec.nodes: must lie between elastic.minNodes and "
         "elastic.maxNodes"),
        ({"dataset": {"volume": {}}}, "spec.dataset.volume: give persistentVolumeClaim or configMap, exactly one"),
        ({"resources": {"limits": {"cpu": "two"}}}, "spec.resources.limits.cpu: 'two' is not a quantity; "
         "write 2, 500m or 16Gi"),
        ({"resources": {"requests": {"nvidia.com/gpu": 1}}}, "spec.resources: requests of devices must equal "
         "their limits"),
        ({"podTemplate": {"env": [{"name": "RANK", "value": "1"}]}}, "spec.podTemplate.env[0].name: RANK is set "
         "by the operator; choose another name"),
        ({"podTemplate": {"labels": {"finetune.dev/job": "x"}}}, "spec.podTemplate.labels.finetune.dev/job: "
         "finetune.dev/job belongs to finetune.dev; choose another prefix"),
        ({"networking": {"env": [{"name": "PATH", "value": ""}]}}, "spec.networking.env[0].name: PATH is not a "
         "network variable; put it under podTemplate.env"),
        ({"prepare": {"mode": "Inline"}, "dataset": {"source": {"uri": "hf://x"}}},
         "spec.prepare.mode: Inline cannot fetch sources; use Pod or Auto"),
        ({"podTemplate": {"volumeMounts": [{"name": "x", "mountPath": "/x"}]}},
         "spec.podTemplate.volumeMounts: each must name one of podTemplate.volumes"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_path(spec: dict[str, Any], expected: str) -> None:
    assert problems(manifest(**spec)) == [expected]


@pytest.mark.parametrize("name", ["Arc", "1arc", "arc.easy", "a" * 53, "arc-"])
def test_pods_must_be_nameable_after_the_job(name: str) -> None:
    (problem,) = problems({**manifest(), "metadata": {"name": name}})
    assert problem.startswith("metadata.name: must begin with a letter")


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("affinity", "place"),
    [
        ({"nodeAffinity": []}, "nodeAffinity is not a mapping"),
        ({"nodeAffinity": {REQUIRED: []}}, f"nodeAffinity.{REQUIRED} is not a mapping"),
        ({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": {}}}}, "nodeSelectorTerms is not a list"),
        ({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": ["a"]}}}, "nodeSelectorTerms[0] is not a mapping"),
        ({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": 1}]}}}, "[0].matchFields is not a list"),
        ({"podAffinity": {REQUIRED: {}}}, f"podAffinity.{REQUIRED} is not a list"),
    ],
)
def test_an_affinity_has_a_form_that_more_can_be_added_to(affinity: dict[str, Any], place: str) -> None:
    (problem,) = problems(manifest(scheduling={"affinity": affinity}))
    assert place in problem


def test_an_output_written_by_several_nodes_must_be_shared() -> None:
    claim = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    assert load_job(manifest(output={"volumeClaimTemplate": claim}))
    (problem,) = problems(manifest(output={"volumeClaimTemplate": claim}, nodes=2))
    assert "must include ReadWriteMany" in problem


def test_all_mistakes_are_named_at_once() -> None:
    document = {**manifest(nodes=0, node=1), "kind": "FinetuneJobs", "extra": 1}
    assert [problem.partition(":")[0] for problem in problems(document)] == [
        "spec.node", "extra", "kind", "spec.nodes",
    ]  # fmt: skip


@pytest.mark.parametrize("document", ["", "[]", "a: 1\n---\nb: 1", 3])
def test_what_is_no_job_is_a_mistake(document: Any) -> None:
    assert problems(document)
