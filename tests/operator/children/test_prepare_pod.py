"""The pod that prepares: on a CPU, with the hub's secrets in its init container alone."""

import itertools
from typing import Any

import finetune_trainer.fetch.__main__ as fetch
from finetune_operator.children.prepare_pod import build_prepare_pod
from finetune_operator.settings import PodSettings, Settings
from finetune_trainer import prepare
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


def test_a_private_authority_is_trusted_by_the_container_that_fetches_alone() -> None:
    settings = Settings(pods=PodSettings(ca_config_map="corporate-ca", ca_key="root.pem"))
    spec = build_prepare_pod(blueprint(settings, config=training()))["spec"]
    (fetch,), (prepare,) = spec["initContainers"], spec["containers"]
    (mount,) = [one for one in fetch["volumeMounts"] if one["name"] == "certificates"]
    assert {"name": "SSL_CERT_FILE", "value": f"{mount['mountPath']}/ca.crt"} in fetch["env"]
    assert "certificates" not in [one["name"] for one in prepare["volumeMounts"]]
    (volume,) = [one for one in spec["volumes"] if one["name"] == "certificates"]
    assert volume["configMap"] == {"name": "corporate-ca", "items": [{"key": "root.pem", "path": "ca.crt"}]}
    assert list(breaches(spec)) == []


def test_nothing_is_trusted_where_nothing_is_fetched() -> None:
    settings = Settings(pods=PodSettings(ca_config_map="corporate-ca"))
    assert "certificates" not in [one["name"] for one in build_prepare_pod(blueprint(settings))["spec"]["volumes"]]


def test_images_are_pulled_as_the_job_says_else_as_the_operator_does() -> None:
    settings = Settings(pods=PodSettings(image_pull_policy="Never", image_pull_secrets=("shared", "own")))
    spec = build_prepare_pod(blueprint(settings, imagePullSecrets=[{"name": "own"}, {"name": "more"}]))["spec"]
    assert spec["containers"][0]["imagePullPolicy"] == "Never"
    assert [secret["name"] for secret in spec["imagePullSecrets"]] == ["shared", "own", "more"]
    other = build_prepare_pod(blueprint(settings, imagePullPolicy="Always"))["spec"]
    assert other["containers"][0]["imagePullPolicy"] == "Always"


def test_the_output_is_checked_and_the_data_announced_for_this_job() -> None:
    output = {"volume": {"persistentVolumeClaim": {"claimName": "results"}}}
    given = dict(itertools.pairwise(spec_of(output=output)["containers"][0]["command"]))
    assert (given["--output"], given["--job-uid"], given["--cache"]) == ("/output", "job-uid", "/output/prepared")
    assert given["--run-dir"].startswith("/scratch/")


def test_each_container_is_told_whose_the_output_may_be() -> None:
    older = "01234567-89ab-cdef-0123-456789abcdef"
    output = {"volume": {"persistentVolumeClaim": {"claimName": "results"}}}
    for resume_from in ({}, {"resumeFrom": older}):
        spec = spec_of(dataset=SOURCE, output={**output, **resume_from})
        for container in (*spec["initContainers"], *spec["containers"]):
            given = dict(itertools.pairwise(container["command"]))
            assert (given["--output"], given["--job-uid"]) == ("/output", "job-uid")
            assert given.get("--resume-from") == resume_from.get("resumeFrom")


def test_the_trainer_reads_both_command_lines() -> None:
    spec = spec_of(dataset=SOURCE, config=training(), code={"configMap": {"name": "code"}})
    for container, parser in ((spec["containers"][0], prepare._parser()), (spec["initContainers"][0], fetch._parser())):
        read = parser.parse_args(container["command"][4:])
        assert str(read.termination_log) == container["terminationMessagePath"]


def test_two_secrets_are_seen_by_two_containers_so_that_equal_keys_stay_apart() -> None:
    model = {"source": {"uri": "hf://owner/model", "secretRef": {"name": "hub-token"}}}
    spec = spec_of(dataset=SOURCE, model=model, config=training())
    data, weights = spec["initContainers"]
    assert [one["envFrom"] for one in (data, weights)] == [
        [{"secretRef": {"name": "bucket-key"}}],
        [{"secretRef": {"name": "hub-token"}}],
    ]
    assert [flag in data["command"] for flag in ("--dataset", "--model", "--hub-model")] == [True, False, False]
    assert [flag in weights["command"] for flag in ("--dataset", "--model", "--hub-model")] == [False, True, True]
    (both,) = spec_of(dataset=SOURCE, model={"source": model["source"] | {"secretRef": {"name": "bucket-key"}}})[
        "initContainers"
    ]
    assert both["envFrom"] == [{"secretRef": {"name": "bucket-key"}}]
    assert list(breaches(spec)) == []


def test_what_a_job_says_is_no_variable_of_kubernetes() -> None:
    dataset = {"source": {"uri": "https://data.example/$(HF_TOKEN)/a$b"}}
    (fetch,) = spec_of(dataset=dataset)["initContainers"]
    assert "https://data.example/$$(HF_TOKEN)/a$$b" in fetch["command"]


def test_it_is_placed_as_its_own_part_of_the_job_says() -> None:
    taint = {"key": "team", "operator": "Exists"}
    spec = spec_of(prepare={"nodeSelector": {"kubernetes.io/arch": "amd64"}, "tolerations": [taint]})
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert [one["key"] for one in spec["tolerations"]] == ["team"]
    assert not {"nodeSelector", "tolerations"} & set(spec_of(scheduling={"tolerations": [taint]}))
