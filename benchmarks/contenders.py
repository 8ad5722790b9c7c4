"""What is measured on the control plane: bare pods, and our operator."""

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.load import Body, Kind, is_condition_true

from cluster.control_plane import ControlPlane
from cluster.ports import free_port
from finetune_api.names import JOB_NAME_LABEL
from finetune_operator.cluster.resources import FINETUNE_JOBS
from finetune_operator.render import render_children
from finetune_operator.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[1]
NAMESPACE: Final = "default"
RESOURCES: Final = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
"""Of every pod."""
_CLAIM: Final = "results"
_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Contender:
    """A running controller."""

    name: str
    kind: Kind
    users: Sequence[str]
    """Under which names the API server knows what acts for it."""
    processes: Sequence[int]

    def pids(self) -> Sequence[int]:
        """The processes whose cost is counted."""
        return self.processes


def bare_pods(count: int) -> list[Body]:
    """Return the pods of our jobs as nobody's: no owner, no volumes of their own, no labels."""
    pod = next(body for body in render_children(job_body("bare", 1), Settings()) if body["kind"] == "Pod")
    spec = {key: value for key, value in pod["spec"].items() if key not in ("volumes", "subdomain", "hostname")}
    spec["containers"] = [{**one, "volumeMounts": []} for one in spec["containers"]]
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"bare-{number}", "namespace": NAMESPACE}}
        | {"spec": spec}
        for number in range(count)
    ]


@contextlib.contextmanager
def ours(cluster: ControlPlane, work: Path, pods: int) -> Iterator[Contender]:
    """Run our operator as a process of its own, with a name of its own in the audit log."""
    cluster.install(ROOT / "crds")
    for body in _results():
        cluster.kubectl("apply", "-f", "-", stdin=body)
    user, port = "finetune-operator", free_port()
    kubeconfig = cluster.user_kubeconfig(user, ["system:masters"])
    command = [sys.executable, "-m", "finetune_operator", "--kubeconfig", str(kubeconfig)]
    command += ["--health-port", str(port), "--metrics-port", str(free_port())]
    with (work / "operator.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_ready(f"http://127.0.0.1:{port}/readyz", process, work / "operator.log")
            yield Contender("ours", _kind(pods), [user], [process.pid])
        finally:
            process.terminate()
            process.wait(30)


def _kind(pods: int) -> Kind:
    return Kind(
        resource=FINETUNE_JOBS,
        body=lambda name: job_body(name, pods),
        owner=lambda pod: (pod["metadata"].get("labels") or {}).get(JOB_NAME_LABEL),
        is_complete=lambda job: is_condition_true(job, "Complete"),
    )


def job_body(name: str, nodes: int) -> Body:
    """A job as small as the peer's: no data to mount, prepared by rank 0."""
    loader = {"name": "finetuning", "dataset": {"hf_name": "json", "hf_kwargs": {"data_dir": "/output/data"}}}
    config: dict[str, Any] = {
        "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": "/output/model"},
        "tokenizer": {"name": "/output/model"},
        "train_loader": loader,
        "optimizer": {"name": "decoupled_adamw", "lr": 1e-3},
        "scheduler": {"name": "constant_with_warmup", "t_warmup": "0ba"},
        "max_duration": "1ep",
        "max_seq_len": 128,
        "global_train_batch_size": 8,
    }
    spec = {
        "nodes": nodes,
        "config": config,
        "output": {"volume": {"persistentVolumeClaim": {"claimName": _CLAIM}}, "subPath": name},
        "prepare": {"mode": "Inline"},
        "resources": RESOURCES,
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "finetune.dev/v1alpha1", "kind": "FinetuneJob", "metadata": metadata, "spec": spec}


def _results() -> list[Body]:
    """One volume for all jobs, that no node really mounts."""
    access = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    source = {"nfs": {"server": "nfs.example.com", "path": "/"}, "capacity": {"storage": "1Gi"}}
    claim = access | {"volumeName": _CLAIM, "resources": {"requests": {"storage": "1Gi"}}}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": _CLAIM}, "spec": access | source},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": _CLAIM, "namespace": NAMESPACE},
            "spec": claim,
        },
    ]


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the operator did not get ready:\n{log.read_text(errors='replace')[-4000:]}")
