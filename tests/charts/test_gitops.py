"""The examples for Argo CD and Flux: valid, and doing with a FinetuneJob what they say."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.binaries import find
from cluster.kubectl import kubectl
from cluster.required import cluster_required
from support.charts import CHART, EVERYTHING, Body, of_kind, only, render
from support.shell import ROOT

GITOPS = ROOT / "examples" / "gitops"
FILES = sorted(GITOPS.rglob("*.yaml"))


def _documents(name: str) -> list[Body]:
    return list(yaml.safe_load_all((GITOPS / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.name}" for path in FILES])
def test_kubeconform_finds_nothing_wrong(path: Path, mistakes: Callable[[str], str]) -> None:
    assert mistakes(path.read_text(encoding="utf-8")) == ""


def _chart_values(name: str) -> Body:
    if name == "argocd":
        values: Body = only(_documents("argocd/operator.yaml"), "Application")["spec"]["source"]["helm"]["valuesObject"]
    else:
        values = only(_documents("flux/operator.yaml"), "HelmRelease")["spec"]["values"]
    return values


@pytest.mark.parametrize("name", ["argocd", "flux"])
def test_the_chart_accepts_the_values_of_the_example(name: str) -> None:
    flags = tuple(
        f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in _flat(_chart_values(name))
    )
    objects = render(*flags)
    assert only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"].startswith(
        "registry.example.com/"
    )
    assert (of_kind(objects, "Lease") == []) == (name == "argocd")


def test_the_examples_point_at_the_chart() -> None:
    place = str(CHART.relative_to(ROOT))
    assert only(_documents("argocd/operator.yaml"), "Application")["spec"]["source"]["path"] == place
    assert only(_documents("flux/operator.yaml"), "HelmRelease")["spec"]["chart"]["spec"]["chart"] == place


def test_flux_leaves_the_references_of_a_training_configuration_alone(tmp_path: Path) -> None:
    kustomization = only(_documents("flux/jobs.yaml"), "Kustomization")["spec"]
    job = yaml.safe_load((ROOT / "examples" / "arc-easy" / "arc-easy-local-job.yaml").read_text(encoding="utf-8"))
    assert "${" in json.dumps(job)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    build = {"resources": ["job.yaml"], "patches": kustomization["patches"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(build), encoding="utf-8")
    with cluster_required():
        built = yaml.safe_load(kubectl(Path("unused"), "kustomize", str(tmp_path)))
    assert built["metadata"].pop("annotations") == {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}
    assert built == job


def _condition(kind: str, status: str = "True", reason: str = "Because", message: str = "it is so") -> Body:
    return {"type": kind, "status": status, "reason": reason, "message": message}


RUNNING = {"observedGeneration": 1, "state": "Running", "conditions": [_condition("Running")]}
HEALTH = {
    "no status": (None, "Progressing", "No operator has seen the job yet"),
    "only the API server's default": ({"observedGeneration": -1}, "Progressing", "No operator has seen the job yet"),
    "running": (RUNNING, "Progressing", "Running"),
    "running, with steps": (
        {**RUNNING, "progress": {"step": 12, "totalSteps": 40}},
        "Progressing",
        "Running, step 12 of 40",
    ),
    "complete": (
        {"observedGeneration": 1, "conditions": [_condition("Running", "False"), _condition("Complete")]},
        "Healthy",
        "Because: it is so",
    ),
    "complete, then edited": (
        {"observedGeneration": 0, "conditions": [_condition("Complete")]},
        "Healthy",
        "Because: it is so",
    ),
    "failed, which is stalled too": (
        {"observedGeneration": 1, "conditions": [_condition("Stalled", reason="JobFailed"), _condition("Failed")]},
        "Degraded",
        "Because: it is so",
    ),
    "stalled": ({"observedGeneration": 1, "conditions": [_condition("Stalled")]}, "Degraded", "Because: it is so"),
    "stalled, then edited": (
        {"observedGeneration": 0, "state": "Stalled", "conditions": [_condition("Stalled")]},
        "Progressing",
        "Stalled",
    ),
    "suspended": ({"observedGeneration": 1, "conditions": [_condition("Suspended")]}, "Suspended", "Because: it is so"),
    "suspending": (
        {"observedGeneration": 1, "state": "Suspending", "conditions": [_condition("Suspended", "False")]},
        "Progressing",
        "Suspending",
    ),
}


@pytest.mark.parametrize(("status", "health", "message"), HEALTH.values(), ids=HEALTH)
def test_argo_cd_sees_the_health_of_a_job(status: Body | None, health: str, message: str, tmp_path: Path) -> None:
    job = {"metadata": {"generation": 1}, **({} if status is None else {"status": status})}
    assert _health(job, tmp_path) == (health, message)


def _health(job: Body, folder: Path) -> tuple[str, str]:
    """Run the check as Argo CD does: as the body of a function, with the object in the global `obj`."""
    with cluster_required():
        lua = find("glua")
    check = only(_documents("argocd/argocd-cm.yaml"), "ConfigMap")["data"]
    (script,) = check.values()
    program = f"obj = {_lua(job)}\nlocal hs = (function()\n{script}\nend)()\nprint(hs.status)\nprint(hs.message)\n"
    (folder / "health.lua").write_text(program, encoding="utf-8")
    done = subprocess.run([str(lua), str(folder / "health.lua")], capture_output=True, text=True, check=True)
    status, message = done.stdout.splitlines()
    return status, message


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(key)}] = {_lua(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(_lua(one) for one in value) + "}"
    return json.dumps(value)


def _flat(values: Body, path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        found += _flat(value, f"{path}{key}.") if isinstance(value, dict) else [(f"{path}{key}", value)]
    return found


def test_the_whole_chart_renders_for_gitops_tools_without_asking_a_cluster() -> None:
    templates = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").rglob("*") if path.is_file())
    assert "lookup" not in templates
    assert render(*EVERYTHING) == render(*EVERYTHING)
