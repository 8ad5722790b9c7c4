"""Service, ConfigMap, NetworkPolicy and claim."""

from pathlib import Path

from finetune_api.config import load_training_config
from finetune_operator.children.blueprint import config_hash
from finetune_operator.children.claim import build_claim
from finetune_operator.children.config_map import CONFIG_FILE, build_config_map
from finetune_operator.children.network_policy import build_network_policy
from finetune_operator.children.service import build_service
from finetune_operator.settings import NetworkSettings, Settings
from support.blueprints import blueprint


def template(**claim: str) -> dict[str, object]:
    """An output that is made for the job."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"}
    return {"volumeClaimTemplate": {"spec": spec, **claim}}


def test_the_service_has_no_address_and_finds_pods_before_they_are_ready() -> None:
    spec = build_service(blueprint())["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert spec["selector"] == {"finetune.dev/job-uid": "job-uid"}


def test_the_configuration_in_the_config_map_is_the_jobs_and_cannot_be_edited(tmp_path: Path) -> None:
    job = blueprint()
    body = build_config_map(job)
    (tmp_path / CONFIG_FILE).write_text(body["data"][CONFIG_FILE])
    again = load_training_config(tmp_path / CONFIG_FILE).config
    assert body["immutable"] is True
    assert (again, config_hash(again)) == (job.config, config_hash(job.config))


def test_only_the_jobs_own_pods_reach_each_other_and_readers_reach_the_progress_alone() -> None:
    settings = Settings(network=NetworkSettings(operator_namespace="ops", metrics_namespaces=("monitoring",)))
    spec = build_network_policy(blueprint(settings))["spec"]
    own, readers = spec["ingress"]
    assert own == {"from": [{"podSelector": spec["podSelector"]}]}
    assert [port["port"] for port in readers["ports"]] == [settings.network.progress_port]
    namespaces = [one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in readers["from"]]
    assert namespaces == ["ops", "monitoring"]


def test_a_claim_outlives_its_job_unless_it_is_told_not_to() -> None:
    for when_deleted, owned in (("Retain", False), ("Delete", True)):
        job = blueprint(output=template(whenDeleted=when_deleted))
        assert job.spec.output.volume_claim_template is not None
        body = build_claim(job, job.spec.output.volume_claim_template)
        assert ("ownerReferences" in body["metadata"]) is owned
        assert body["metadata"]["labels"]["finetune.dev/job-uid"] == "job-uid"
        assert body["spec"]["storageClassName"] == "fast"
