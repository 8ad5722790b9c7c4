"""The pod that prepares: on a CPU, with the hub's secrets in its init container alone."""

from typing import Any

from finetune_operator.children.prepare_pod import build_prepare_pod
from finetune_operator.settings import PodSettings, Settings
from support.blueprints import blueprint
from support.configs import training
from support.restricted import breaches

SOURCE = {"source": {"uri": "s3://bucket/arc", "secretRef": {"name": "bucket-key"}}}
GPUS = {"limits": {"nvidia.com/gpu": 4}}


def spec_of(**spec: Any) -> dict[str, Any]:
    """The spec of the pod that prepares for a job."""
    body: dict[str, Any] = build_prepare_pod(blueprint(**spec))["spec"]
    return body


def test_local_inputs_need_no_fetching() -> None:
    spec = spec_of()
    assert "initContainers" not in spec
    assert spec["containers"][0]["command"][:4] == ["python", "-u", "-m", "finetune_trainer.prepare"]
    assert list(breaches(spec)) == []


def test_no_gpu_is_asked_for() -> None:
    assert spec_of(resources=GPUS, prepare={"resources": {"requests": {"cpu": 2}}})["containers"][0]["resources"] == {
        "requests": {"cpu": "2"}
    }


def test_only_the_container_that_fetches_sees_secrets_and_it_sees_no_code() -> None:
    spec = spec_of(dataset=SOURCE, code={"configMap": {"name": "code"}})
    (fetch,) = spec["initContainers"]
    assert fetch["envFrom"] == [{"secretRef": {"name": "bucket-key"}}]
    assert "/code" not in [mount["mountPath"] for mount in fetch["volumeMounts"]]
    assert "HF_HUB_OFFLINE" not in [variable["name"] for variable in fetch["env"]]
    assert "/code" in [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]
    assert list(breaches(spec)) == []


def test_names_of_the_hub_are_fetched_each_once() -> None:
    (fetch,) = spec_of(config=training())["initContainers"]
    command = fetch["command"]
    assert command[command.index("--hub-model") + 1] == "tiny"
    assert command.count("--hub-tokenizer") == 1


def test_proxies_reach_the_container_that_fetches_alone() -> None:
    settings = Settings(pods=PodSettings(fetch_environment={"HTTPS_PROXY": "http://proxy"}))
    spec = build_prepare_pod(blueprint(settings, config=training()))["spec"]
    proxy = {"name": "HTTPS_PROXY", "value": "http://proxy"}
    assert proxy in spec["initContainers"][0]["env"]
    assert proxy not in spec["containers"][0]["env"]
