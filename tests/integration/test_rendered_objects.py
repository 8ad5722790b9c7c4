"""A real API server takes every object of a job, in a namespace that enforces Pod Security *restricted*."""

from typing import Any

import pytest

from cluster.control_plane import ControlPlane
from finetune_operator.render import render_children
from finetune_operator.settings import PodSettings, Settings
from support.configs import manifest, training
from support.operator_jobs import inline_job, job

PATHS = {
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "NetworkPolicy": "apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PersistentVolumeClaim": "api/v1/namespaces/{}/persistentvolumeclaims",
    "Pod": "api/v1/namespaces/{}/pods",
    "Service": "api/v1/namespaces/{}/services",
}
ALLOWING = Settings(
    runtime_classes=("nvidia",),
    pods=PodSettings(ca_config_map="corporate-ca", image_pull_policy="IfNotPresent", image_pull_secrets=("registry",)),
)
OPENSHIFT = Settings(pods=PodSettings(run_as_user=None, run_as_group=None, fs_group=None))
CLAIM = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "shared"}
FULL: dict[str, Any] = {
    "dataset": {"source": {"uri": "s3://bucket/arc", "secretRef": {"name": "key"}}},
    "model": {"volume": {"persistentVolumeClaim": {"claimName": "model"}}},
    "code": {"configMap": {"name": "code"}},
    "output": {"volumeClaimTemplate": {"spec": CLAIM}, "subPath": "runs/one"},
    "resources": {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"nvidia.com/gpu": 1}},
    "prepare": {"mode": "Pod", "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}}},
    "scheduling": {
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "nodeSelector": {"pool": "gpu"},
        "topologyKey": "rack",
        "gang": "Kueue",
        "queueName": "gpu",
    },
    "podTemplate": {
        "labels": {"team": "nlp"},
        "annotations": {"note": "x"},
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "volumes": [{"name": "extra", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "more", "configMap": {"name": "m"}}],
        "volumeMounts": [{"name": "extra", "mountPath": "/extra", "subPath": "a"}],
        "sidecars": [{"name": "logs", "image": "logs:1", "volumeMounts": [{"name": "more", "mountPath": "/more"}]}],
    },
    "networking": {"rdmaResource": "rdma/hca", "env": [{"name": "NCCL_DEBUG", "value": "INFO"}]},
}


@pytest.mark.parametrize(
    ("document", "settings"),
    [
        (inline_job(), Settings()),
        (manifest(training(), nodes=2), ALLOWING),
        (job(**FULL), ALLOWING),
        (job(**FULL), OPENSHIFT),
    ],
    ids=["small", "from the hub", "everything", "everything on OpenShift"],
)
def test_every_object_of_a_job_is_taken(api_server: ControlPlane, document: dict[str, Any], settings: Settings) -> None:
    namespace, server = "restricted", api_server.rest()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    server.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
    document["metadata"]["namespace"] = namespace
    account = {"metadata": {"name": "default", "namespace": namespace}}
    server.send("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    kinds = set()
    for body in render_children(document, settings):
        answer = server.send(
            "POST", f"/{PATHS[body['kind']].format(namespace)}?dryRun=All&fieldValidation=Strict", body
        )
        assert answer.code == 201, f"{body['kind']} {body['metadata']['name']}: {answer.message}"
        assert answer.warnings == ()
        kinds.add(body["kind"])
    assert kinds >= {"ConfigMap", "NetworkPolicy", "Pod", "Service"}
