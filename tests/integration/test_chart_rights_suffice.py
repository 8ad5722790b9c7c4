"""With the chart's arguments, settings and rights, and no others, the operator takes a job from start to end."""

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane, Parts
from cluster.kubectl import KubectlFailed
from cluster.ports import free_port
from cluster.processes import Process
from cluster.required import cluster_required
from support.charts import CHART, CRD, NAME, NAMESPACE, RELEASE, Body, helm

TEAM = "team-a"
JOB = "short"
MODES = {
    "the whole cluster": "watch.excludeNamespaces={kube-system}",
    "chosen namespaces": f"watch.namespaces={{{TEAM}}}",
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without nodes: pods wait, which is what the job's deadline is for."""
    with cluster_required():
        plane = ControlPlane(tmp_path_factory.mktemp("rights"), Parts(controllers=True)).__enter__()
    try:
        plane.install(CRD)
        for name in (NAMESPACE, TEAM):
            plane.kubectl("create", "namespace", name)
        while not plane.rest().answers("/apis/finetune.dev/v1alpha1/finetunejobs"):
            time.sleep(0.1)  # a new resource is established a moment before it can be listed
        yield plane
    finally:
        plane.__exit__()


@pytest.fixture(params=MODES.values(), ids=list(MODES))
def operator(request: pytest.FixtureRequest, plane: ControlPlane, tmp_path: Path) -> Iterator[Process]:
    """The operator as a process with the Deployment's arguments, settings and account, on ports that are free."""
    flags = ["--set", "crds.install=false", "--set", "replicas=0", "--set", request.param]
    place = ["--namespace", NAMESPACE, "--kubeconfig", str(plane.admin)]
    done = helm("upgrade", "--install", RELEASE, str(CHART), *flags, *place)
    assert done.returncode == 0, done.stderr
    config_map = json.loads(plane.kubectl("get", "configmap", f"{NAME}-settings", "-n", NAMESPACE, "--output=json"))
    settings = tmp_path / "settings.yaml"
    settings.write_text(config_map["data"]["settings.yaml"], encoding="utf-8")
    deployment = json.loads(plane.kubectl("get", "deployment", NAME, "-n", NAMESPACE, "--output=json"))
    own = [one for one in _arguments(deployment) if not re.match("--(settings|health-port|metrics-port)=", one)]
    health = free_port()
    account = plane.service_account_kubeconfig(NAME, NAMESPACE)
    ours = [
        f"--settings={settings}",
        f"--health-port={health}",
        f"--metrics-port={free_port()}",
        f"--kubeconfig={account}",
    ]
    with Process("operator", [sys.executable, "-m", "finetune_operator", *own, *ours], tmp_path / "log") as process:
        process.wait_ready(lambda: _answers(f"http://127.0.0.1:{health}/readyz"))
        yield process
        process.stop(grace=10)
    assert helm("uninstall", RELEASE, *place, "--wait").returncode == 0


def _arguments(deployment: Body) -> list[str]:
    found: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(check: Callable[[], bool], operator: Process, what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise operator.failure(f"did not lead to this within {seconds} s: {what}")
        time.sleep(0.2)


def _names(plane: ControlPlane, kinds: str) -> set[str]:
    return set(plane.kubectl("get", kinds, "--namespace", TEAM, "--output=name").split())


def _job() -> Body:
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    loader = {"name": "finetuning", "dataset": {"hf_name": "json", "hf_kwargs": {"data_dir": "/data"}}}
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": JOB, "namespace": TEAM},
        "spec": {
            "dataset": {"volume": {"configMap": {"name": "data"}}, "mountPath": "/data"},
            "model": {"volume": {"configMap": {"name": "model"}}, "mountPath": "/model"},
            "code": {"configMap": {"name": "code"}},
            "output": {"volumeClaimTemplate": template},
            "prepare": {"mode": "Inline"},
            "runPolicy": {
                "pendingDeadlineSeconds": 12,  # so that its children are seen on a busy machine
                "ttlSecondsAfterFinished": {"failed": 0},
                "deleteJobAfterSeconds": 6,
            },
            "config": {
                "max_seq_len": 32,
                "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": "/model", "pretrained": False},
                "tokenizer": {"name": "/model"},
                "train_loader": loader,
                "optimizer": {"name": "decoupled_adamw", "lr": 0.01},
                "scheduler": {"name": "constant_with_warmup", "t_warmup": "1ba"},
                "max_duration": "1ep",
                "global_train_batch_size": 2,
                "precision": "fp32",
            },
        },
    }


def test_a_job_gets_its_children_its_status_its_events_and_its_end(plane: ControlPlane, operator: Process) -> None:
    with_code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code", "namespace": TEAM}}
    plane.kubectl("apply", "-f", "-", stdin={**with_code, "data": {"preprocessing.py": ""}})
    plane.kubectl("create", "-f", "-", stdin=_job())
    children = {
        f"pod/{JOB}-0-0",
        f"service/{JOB}",
        f"configmap/{JOB}-config",
        f"networkpolicy.networking.k8s.io/{JOB}",
        f"persistentvolumeclaim/{JOB}-output",
    }
    kinds = "pods,services,configmaps,networkpolicies,persistentvolumeclaims"
    _wait(lambda: children <= _names(plane, kinds), operator, "all children")
    plane.kubectl("wait", f"finetunejob/{JOB}", "-n", TEAM, "--for=condition=Failed", "--timeout=110s")
    _wait(lambda: _names(plane, kinds) & children == {f"persistentvolumeclaim/{JOB}-output"}, operator, "clean-up")
    _wait(lambda: _gone(plane), operator, "deletion of the job")
    events = json.loads(plane.kubectl("get", "events.events.k8s.io", "-n", TEAM, "--output=json"))["items"]
    assert {"AttemptStarted", "DeadlineExceeded", "JobDeleted"} <= {one["reason"] for one in events}
    lease = json.loads(plane.kubectl("get", "lease", NAME, "-n", NAMESPACE, "--output=json"))
    assert lease["spec"]["holderIdentity"]
    assert "forbidden" not in operator.log.read_text(encoding="utf-8").lower()
    plane.kubectl("delete", "persistentvolumeclaim", f"{JOB}-output", "-n", TEAM, "--wait=false")


def _gone(plane: ControlPlane) -> bool:
    try:
        plane.kubectl("get", "finetunejob", JOB, "--namespace", TEAM)
    except KubectlFailed as failed:
        return "not found" in str(failed)
    return False
