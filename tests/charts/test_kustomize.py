"""The kustomize base is the chart, and the overlay changes what it says it changes."""

import importlib.util
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from cluster.binaries import find
from cluster.kubectl import kubectl
from cluster.required import cluster_required
from finetune_operator.settings import Settings
from finetune_operator.settings_file import parse_settings
from support.charts import CHART, CRD, Body, helm, only, render
from support.shell import ROOT

KUSTOMIZE = ROOT / "charts" / "kustomize"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", KUSTOMIZE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _built(name: str) -> str:
    with cluster_required():
        return kubectl(Path("unused"), "kustomize", str(KUSTOMIZE / name))


def _objects(name: str) -> list[Body]:
    return list(yaml.safe_load_all(_built(name)))


def _settings(objects: list[Body]) -> Settings:
    mounted = only(objects, "Deployment")["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
    text = only(objects, "ConfigMap", mounted)["data"]["settings.yaml"]
    return parse_settings(yaml.safe_load(text))


def test_the_generated_files_are_what_the_chart_renders_now(generator: ModuleType) -> None:
    with cluster_required():
        path_of_helm = str(find("helm"))
    for path, content in generator.files(path_of_helm).items():
        assert path.read_text(encoding="utf-8") == content, "stale; run: python charts/kustomize/generate.py"


def test_the_base_has_the_resource_and_every_object_of_the_chart() -> None:
    base = _objects("base")
    chart = render("tests.enabled=false", namespace="finetune-system")
    assert only(base, "CustomResourceDefinition") == yaml.safe_load(CRD.read_text(encoding="utf-8"))
    assert sorted(one["kind"] for one in base) == sorted(["Namespace", *(one["kind"] for one in chart)])
    assert "Helm" not in yaml.safe_dump([one for one in base if one["kind"] != "CustomResourceDefinition"])
    assert "helm.sh" not in yaml.safe_dump(base)


@pytest.mark.parametrize("name", ["base", "example"])
def test_kubeconform_finds_nothing_wrong(name: str, mistakes: Callable[[str], str]) -> None:
    assert mistakes(_built(name)) == ""


def test_the_settings_of_the_base_are_the_operators_own() -> None:
    found = _settings(_objects("base"))
    labels = {**Settings().network.operator_labels, "app.kubernetes.io/component": "operator"}
    assert dict(found.network.operator_labels) == labels
    assert found.pods == Settings().pods
    assert found.timing == Settings().timing


def test_runs_let_in_the_pods_of_the_base() -> None:
    base = _objects("base")
    template = only(base, "Deployment")["spec"]["template"]
    assert _settings(base).network.operator_labels.items() <= template["metadata"]["labels"].items()


def test_the_overlay_changes_images_settings_and_resources() -> None:
    objects = _objects("example")
    container = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example.com/ml/finetune-operator:0.1.0"
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert _settings(objects).trainer_image == "registry.example.com/ml/finetune-trainer:0.1.0"
    labels: dict[str, Any] = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert _settings(objects).network.operator_labels.items() <= labels.items()


def test_the_pods_restart_when_the_settings_change() -> None:
    names = [only(_objects(name), "ConfigMap")["metadata"]["name"] for name in ("base", "example")]
    assert names[0] != names[1]


def test_the_charts_package_leaves_out_what_is_kustomizes(tmp_path: Path) -> None:
    assert helm("package", str(CHART), "--destination", str(tmp_path)).returncode == 0
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        names = archive.getnames()
    assert "finetune-operator/files/finetunejobs.yaml" in names
    assert [name for name in names if "kustom" in name] == []
