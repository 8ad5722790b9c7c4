"""Schemas of every kind of object that charts, kustomize bases and GitOps examples contain."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml

from cluster.binaries import ToolMissing, find
from cluster.go_builds import BuildFailed, module_source
from cluster.required import cluster_required
from cluster.tools import KUBERNETES
from support.charts import CRD
from support.object_schemas import LOCATION, write_builtin, write_custom

_BUILTIN: Final = (
    ("", "v1", "ConfigMap"),
    ("", "v1", "Namespace"),
    ("", "v1", "Pod"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("apps", "v1", "Deployment"),
    ("coordination.k8s.io", "v1", "Lease"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
)
_CUSTOM: Final = (
    ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd/*monitors.yaml"),
    ("github.com/argoproj/argo-cd/v3", "v3.2.0", "manifests/crds/application-crd.yaml"),
    ("github.com/fluxcd/source-controller", "v1.7.3", "config/crd/bases/*gitrepositories.yaml"),
    ("github.com/fluxcd/helm-controller", "v1.4.0", "config/crd/bases/*.yaml"),
    ("github.com/fluxcd/kustomize-controller", "v1.7.2", "config/crd/bases/*.yaml"),
)
"""Go modules whose sources hold definitions of others' resources: module, version, files."""


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of strict schemas, of built-in kinds as this Kubernetes has them and of others' resources."""
    folder = tmp_path_factory.mktemp("schemas")
    openapi = _source("k8s.io/kubernetes", KUBERNETES) / "api" / "openapi-spec" / "swagger.json"
    write_builtin(openapi, folder, _BUILTIN)
    files = [path for module, version, files in _CUSTOM for path in sorted(_source(module, version).glob(files))]
    for path in (CRD, *files):
        write_custom(yaml.safe_load(path.read_text(encoding="utf-8")), folder)
    return folder


@pytest.fixture(scope="session")
def mistakes(schemas: Path) -> Callable[[str], str]:
    """Tells what kubeconform finds wrong in manifests; empty when nothing is."""
    with cluster_required():
        kubeconform = find("kubeconform")

    def judge(manifests: str) -> str:
        command = [str(kubeconform), "-strict", "-schema-location", f"{schemas}/{LOCATION}"]
        done = subprocess.run(command, input=manifests, capture_output=True, text=True, check=False, timeout=300)
        return done.stdout + done.stderr

    return judge


def _source(module: str, version: str) -> Path:
    with cluster_required():
        try:
            return module_source(module, version, print)
        except BuildFailed as error:
            raise ToolMissing(f"the source of {module} {version} cannot be had: {error}") from error
