"""The pods of an attempt: what they run, where, and that they are restricted."""

import json
from typing import Any

import pytest

from finetune_api.job.pods import RESERVED_CONTAINERS, RESERVED_ENV, RESERVED_VOLUMES
from finetune_api.job.policies import REQUIRED
from finetune_api.job.rules import RESERVED_PATHS
from finetune_operator.children.prepare_pod import build_prepare_pod
from finetune_operator.children.training_pods import build_training_pods
from finetune_operator.settings import PodSettings, Settings
from finetune_trainer.launcher.arguments import NodeLaunch, parse_arguments
from support.blueprints import blueprint
from support.restricted import breaches

SIDECAR = {"name": "watcher", "image": "watcher:1", "args": ["--all"]}
EXTRAS = {
    "labels": {"team": "nlp"},
    "env": [{"name": "DEBUG", "value": "1"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "volumes": [{"name": "extra", "persistentVolumeClaim": {"claimName": "extra"}}, {"name": "tmp2", "emptyDir": {}}],
    "volumeMounts": [{"name": "extra", "mountPath": "/extra", "readOnly": True}],
    "sidecars": [SIDECAR],
}
GPUS = {"limits": {"nvidia.com/gpu": 4, "memory": "8Gi"}, "requests": {"cpu": 2}}


def pod(rank: int = 0, attempt: int = 2, settings: Settings | None = None, **spec: Any) -> dict[str, Any]:
    """One pod of an attempt on three nodes."""
    return build_training_pods(blueprint(settings, nodes=3, **spec), attempt, 3)[rank]


def trainer(body: dict[str, Any]) -> dict[str, Any]:
    """Its container that trains."""
    container: dict[str, Any] = body["spec"]["containers"][0]
    return container


def launched(body: dict[str, Any]) -> NodeLaunch:
    """What the launcher in it reads."""
    command = trainer(body)["command"]
    assert command[:3] == ["python", "-m", "finetune_trainer.launcher"]
    return parse_arguments(command[3:])


def test_each_pod_has_a_stable_name_that_its_peers_resolve() -> None:
    spec = pod(rank=1)["spec"]
    assert (spec["hostname"], spec["subdomain"]) == ("arc-easy-2-1", "arc-easy")
    assert launched(pod(rank=1)).master_addr == "arc-easy-2-0.arc-easy"


def test_the_launchers_know_the_names_of_all_pods_and_may_be_told_not_to_look_at_them() -> None:
    launch = launched(pod(rank=1))
    assert launch.peers == "arc-easy-2-{rank}.arc-easy"
    assert launch.peers.format(rank=0) == launch.master_addr
    assert launch.wants_preflight
    assert not launched(pod(rank=1, runPolicy={"preflight": False})).wants_preflight


def test_the_launcher_is_told_its_place_in_the_attempt() -> None:
    launch = launched(pod(rank=1, processesPerNode=2, output={"volume": {"persistentVolumeClaim": {"claimName": "o"}}}))
    assert (launch.node_rank, launch.nnodes, launch.attempt, launch.job_uid) == (1, 3, 2, "job-uid")
    assert (launch.nproc_per_node, launch.prepare, str(launch.output)) == (2, "done", "/output")
    assert str(launch.termination_log) == trainer(pod())["terminationMessagePath"]
    assert launched(pod(prepare={"mode": "Inline"})).prepare == "inline"


def test_the_launcher_kills_before_the_kubelet_does() -> None:
    body = pod(runPolicy={"gracePeriodSeconds": 60})
    assert launched(body).grace < body["spec"]["terminationGracePeriodSeconds"] == 60


def test_the_time_that_a_step_may_take_is_the_jobs() -> None:
    assert launched(pod(runPolicy={"stepTimeoutSeconds": 90})).step_timeout == 90.0
    assert launched(pod()).step_timeout is None


def test_there_is_one_rank_for_each_gpu_and_devices_are_limited_to_what_is_requested() -> None:
    body = pod(resources=GPUS, networking={"rdmaResource": "rdma/ib"})
    assert launched(body).nproc_per_node == 4
    resources = trainer(body)["resources"]
    assert resources["limits"] == {"nvidia.com/gpu": "4", "memory": "8Gi", "rdma/ib": "1"}
    assert resources["requests"] == {"cpu": "2", "nvidia.com/gpu": "4", "rdma/ib": "1"}


def test_pods_are_restricted_whatever_the_job_adds() -> None:
    body = pod(podTemplate=EXTRAS, code={"configMap": {"name": "code"}}, resources=GPUS)
    assert list(breaches(body["spec"])) == []


def test_users_and_groups_are_left_to_clusters_that_assign_them() -> None:
    openshift = Settings(pods=PodSettings(run_as_user=None, run_as_group=None, fs_group=None))
    security = pod(settings=openshift)["spec"]["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_what_a_job_adds_never_replaces_what_is_ours() -> None:
    body = pod(podTemplate=EXTRAS)
    assert body["metadata"]["labels"]["team"] == "nlp"
    assert body["metadata"]["labels"]["finetune.dev/rank"] == "0"
    names = [variable["name"] for variable in trainer(body)["env"]]
    assert {"DEBUG", "KEY", "HF_HUB_OFFLINE", "HOME", "TMPDIR"} <= set(names)
    assert trainer(body)["volumeMounts"][-1] == {"name": "extra", "mountPath": "/extra", "readOnly": True}


def test_a_sidecar_cannot_keep_its_pod_from_ending() -> None:
    (sidecar,) = pod(podTemplate=EXTRAS)["spec"]["initContainers"]
    assert (sidecar["name"], sidecar["restartPolicy"], sidecar["args"]) == ("watcher", "Always", ["--all"])


def test_inputs_are_mounted_read_only_twice_over() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "arc"}}
    body = pod(dataset={"volume": claim}, model={"volume": {"configMap": {"name": "model"}}})
    assert {"name": "dataset", "mountPath": "/data", "readOnly": True} in trainer(body)["volumeMounts"]
    volumes = {volume["name"]: volume for volume in body["spec"]["volumes"]}
    assert volumes["dataset"]["persistentVolumeClaim"] == {"claimName": "arc", "readOnly": True}
    assert volumes["model"]["configMap"] == {"name": "model"}


def test_what_was_fetched_is_seen_where_the_job_wants_it() -> None:
    output = {"volume": {"persistentVolumeClaim": {"claimName": "out"}}, "subPath": "runs/1"}
    body = pod(dataset={"source": {"uri": "s3://bucket/arc"}}, output=output)
    mounts = {mount["mountPath"]: mount for mount in trainer(body)["volumeMounts"]}
    assert mounts["/data"] == {
        "name": "output", "mountPath": "/data", "subPath": "runs/1/fetched/dataset", "readOnly": True,
    }  # fmt: skip
    assert mounts["/output"]["subPath"] == "runs/1"


def test_placement_and_pull_secrets_are_the_jobs() -> None:
    scheduling = {
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"podAffinity": {}},
        "schedulerName": "volcano",
    }
    spec = pod(scheduling=scheduling, imagePullSecrets=[{"name": "pull"}], imagePullPolicy="Always")["spec"]
    assert spec["nodeSelector"] == {"gpu": "a100"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert (spec["schedulerName"], spec["imagePullSecrets"]) == ("volcano", [{"name": "pull"}])
    assert spec["containers"][0]["imagePullPolicy"] == "Always"


def test_the_same_job_always_gives_the_same_bytes() -> None:
    assert json.dumps(pod(podTemplate=EXTRAS)) == json.dumps(pod(podTemplate=EXTRAS))


def test_memory_is_locked_only_where_the_platform_allows_it() -> None:
    rdma: dict[str, Any] = {"networking": {"rdmaResource": "rdma/hca"}}
    allowing = Settings(pods=PodSettings(rdma_ipc_lock=True))
    assert list(breaches(pod(**rdma)["spec"])) == []
    assert trainer(pod(settings=allowing, **rdma))["securityContext"]["capabilities"]["add"] == ["IPC_LOCK"]
    assert list(breaches(pod(settings=allowing)["spec"])) == []


CODE = {"configMap": {"name": "code"}}
HUB = {"uri": "hf://org/model", "secretRef": {"name": "hub"}}
BUCKET = {"uri": "s3://bucket/data", "secretRef": {"name": "bucket"}}
DATA = {"volume": {"configMap": {"name": "d"}}}
FULL: dict[str, Any] = {"code": CODE, "dataset": DATA, "model": {"source": HUB}}


def test_what_the_operator_sets_mounts_or_names_is_what_jobs_may_not() -> None:
    settings = Settings(pods=PodSettings(ca_config_map="corporate-ca"))
    fetching: dict[str, Any] = FULL | {"dataset": {"source": BUCKET}}
    bodies = [pod(settings=settings, **FULL), build_prepare_pod(blueprint(settings, nodes=3, **fetching))]
    containers = [
        one for body in bodies for one in (*body["spec"].get("initContainers", []), *body["spec"]["containers"])
    ]
    assert {one["name"] for one in containers} == set(RESERVED_CONTAINERS)
    assert {one["name"] for body in bodies for one in body["spec"]["volumes"]} <= set(RESERVED_VOLUMES)
    assert {one["name"] for one in trainer(bodies[0])["env"]} <= RESERVED_ENV
    mounted = {one["mountPath"] for one in trainer(bodies[0])["volumeMounts"]} - {"/data", "/model"}
    assert [
        path for path in mounted if not any(path == own or path.startswith(f"{own}/") for own in RESERVED_PATHS)
    ] == []


@pytest.mark.parametrize("affinity", [{"podAffinity": None}, {"podAffinity": {REQUIRED: None}}])
def test_an_affinity_that_is_written_without_a_value_is_none(affinity: dict[str, Any]) -> None:
    placed = pod(scheduling={"topologyKey": "rack", "affinity": affinity})["spec"]["affinity"]["podAffinity"]
    assert [term["topologyKey"] for term in placed[REQUIRED]] == ["rack"]


def test_the_environment_is_taken_as_it_is_written() -> None:
    body = pod(networking={"env": [{"name": "NCCL_IB_HCA", "value": "a$$b ${app_id} $replica_id"}]})
    assert {"name": "NCCL_IB_HCA", "value": "a$$b ${app_id} $replica_id"} in trainer(body)["env"]
