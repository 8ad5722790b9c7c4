"""Kubeflow Trainer and JobSet on a control plane of ours: the peers that the operator is measured against.

Both run as they are released, with their own defaults; only their addresses are on loopback, and their webhooks,
without which JobSet has no defaults, are registered there.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from cluster import go_builds
from cluster.binaries import find
from cluster.components import LOOPBACK
from cluster.control_plane import ControlPlane
from cluster.ports import free_port
from cluster.processes import Process
from cluster.rest import Body, Rest
from cluster.tools import PEERS

RUNTIME: Final = "simulated"
"""The ClusterTrainingRuntime that `train_job` asks for."""
_ADMINISTRATORS: Final = "system:masters"
TRAIN_JOBS: Final = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{}/trainjobs"


@dataclass(frozen=True)
class _Controller:
    """One controller: where its definitions and webhooks are in its source, and what its configuration is called."""

    tool: str
    module: str
    definitions: str
    webhooks: str
    configuration: str
    certificates: str
    """The key of its configuration that says it shall make its own certificates."""


_CONTROLLERS: Final = (
    _Controller(
        tool="jobset",
        module="sigs.k8s.io/jobset",
        definitions="config/components/crd",
        webhooks="config/components/webhook",
        configuration="config.jobset.x-k8s.io/v1alpha1",
        certificates="internalCertManagement",
    ),
    _Controller(
        tool="trainer-controller-manager",
        module="github.com/kubeflow/trainer/v2",
        definitions="manifests/base/crds",
        webhooks="manifests/base/webhook",
        configuration="config.trainer.kubeflow.org/v1alpha1",
        certificates="certManagement",
    ),
)


class Peer:
    """Both controllers, up inside of a `with` block; the control plane needs its controllers, scheduler and kubelet."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        self.plane, self.directory = plane, directory
        self.processes: dict[str, Process] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            for controller in _CONTROLLERS:
                self._start(controller)
            self.plane.kubectl("apply", "-f", "-", stdin=_runtime())
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, controller: _Controller) -> None:
        source = go_builds.module_source(controller.module, PEERS[controller.tool].version, _say)
        directory = self.directory / controller.tool
        serving = directory / "k8s-webhook-server" / "serving-certs"  # where controller-runtime looks below TMPDIR
        serving.mkdir(parents=True)
        pair = self.plane.authority.server(controller.tool, [LOOPBACK])
        (serving / "tls.crt").write_bytes(pair.certificate)
        (serving / "tls.key").write_bytes(pair.key)
        self.plane.install(source / controller.definitions, "-k")
        webhook_port, health_port = free_port(), free_port()
        config = directory / "config.yaml"
        config.write_text(json.dumps(_configuration(controller, webhook_port, health_port)), encoding="utf-8")
        kubeconfig = self.plane.user_kubeconfig(user_of(controller.tool), [_ADMINISTRATORS])
        environment = {"KUBECONFIG": str(kubeconfig), "TMPDIR": str(directory)}
        log = self.plane.files.log(controller.tool)
        process = Process(controller.tool, [find(controller.tool), f"--config={config}"], log, environment)
        self.processes[controller.tool] = self._stack.enter_context(process)
        health = Rest(f"http://{LOOPBACK}:{health_port}")
        process.wait_ready(lambda: health.answers("/readyz"))
        for body in self._webhooks(controller, source, webhook_port):
            self.plane.kubectl("apply", "-f", "-", stdin=body)

    def _webhooks(self, controller: _Controller, source: Path, port: int) -> Iterator[Body]:
        text = self.plane.kubectl("kustomize", source / controller.webhooks)
        for body in yaml.safe_load_all(text):
            if body["kind"].endswith("WebhookConfiguration"):
                body["metadata"]["name"] = f"{controller.tool}-{body['metadata']['name']}"
                for webhook in body["webhooks"]:
                    webhook["clientConfig"] = self._client_config(webhook["clientConfig"]["service"]["path"], port)
                yield body

    def _client_config(self, path: str, port: int) -> Body:
        return {"url": f"https://{LOOPBACK}:{port}{path}", "caBundle": self.plane.authority.certificate_base64}


def user_of(tool: str) -> str:
    """Return the name by which the API server knows a controller."""
    return f"peer-{tool}"


def train_job(name: str, nodes: int) -> Body:
    """Return a TrainJob of this many pods."""
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"name": RUNTIME}, "trainer": {"numNodes": nodes}},
    }


def _runtime() -> Body:
    container = {"name": "node", "image": "example.com/trainer:1", "command": ["train"]}
    pods = {"spec": {"containers": [container]}}
    ancestor = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}
    job = {"name": "node", "template": {"metadata": ancestor, "spec": {"template": pods}}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": RUNTIME, "labels": {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": 1, "torch": {}},
            "template": {"spec": {"replicatedJobs": [job]}},
        },
    }


def _configuration(controller: _Controller, webhook_port: int, health_port: int) -> dict[str, Any]:
    return {
        "apiVersion": controller.configuration,
        "kind": "Configuration",
        "webhook": {"port": webhook_port, "host": LOOPBACK},
        "health": {"healthProbeBindAddress": f"{LOOPBACK}:{health_port}"},
        "metrics": {"bindAddress": f"{LOOPBACK}:{free_port()}"},
        "leaderElection": {"leaderElect": False},
        controller.certificates: {"enable": False},
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
