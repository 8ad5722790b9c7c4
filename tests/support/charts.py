"""The chart as helm renders it."""

import functools
import subprocess
from collections.abc import Iterable
from typing import Any, Final

import yaml

from cluster.binaries import find
from cluster.required import cluster_required
from support.shell import ROOT

Body = dict[str, Any]

CHART: Final = ROOT / "charts" / "finetune-operator"
CRD: Final = ROOT / "crds" / "finetunejobs.yaml"
RELEASE: Final = "ft"
NAME: Final = "ft-finetune-operator"
NAMESPACE: Final = "finetune-system"
CLUSTER_NAME: Final = f"{NAMESPACE}-{NAME}"
"""Name of the release's objects of the cluster."""

EVERYTHING: Final = (
    "replicas=2",
    "networkPolicy.enabled=true",
    "networkPolicy.metricsNamespaces={monitoring}",
    "monitoring.serviceMonitor.enabled=true",
    "monitoring.podMonitor.enabled=true",
    "monitoring.dashboard.enabled=true",
    "admissionPolicy.enabled=true",
    "rbac.gangSchedulers={Volcano,Coscheduling}",
)
"""Values that render every object of the chart for the whole cluster."""

CHOSEN: Final = ("watch.namespaces={team-a,team-b}",)
"""Values for an operator of two namespaces."""


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm; the test is skipped where none can be had."""
    with cluster_required():
        command = [str(find("helm")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@functools.cache
def render_text(*values: str, namespace: str = NAMESPACE) -> str:
    """Return what the chart renders to with these values, each as `--set` takes it."""
    done = _template(values, namespace)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(*values: str, namespace: str = NAMESPACE) -> list[Body]:
    """Return the objects that the chart renders to."""
    return [one for one in yaml.safe_load_all(render_text(*values, namespace=namespace)) if one]


def refusal(*values: str) -> str:
    """Return what helm says to values that it refuses."""
    done = _template(values, NAMESPACE)
    assert done.returncode != 0, f"{values} were accepted"
    return done.stderr


def only(objects: Iterable[Body], kind: str, name: str | None = None) -> Body:
    """Return the one object of a kind, or of a kind and name."""
    (found,) = of_kind(objects, kind, name)
    return found


def of_kind(objects: Iterable[Body], kind: str, name: str | None = None) -> list[Body]:
    """Return the objects of a kind, or of a kind and name."""
    return [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]


def operator_pod(*values: str) -> Body:
    """Return the pod spec of the Deployment."""
    spec: Body = only(render(*values), "Deployment")["spec"]["template"]["spec"]
    return spec


def _template(values: Iterable[str], namespace: str) -> subprocess.CompletedProcess[str]:
    flags = [flag for value in values for flag in ("--set", value)]
    return helm("template", RELEASE, str(CHART), "--namespace", namespace, *flags)
