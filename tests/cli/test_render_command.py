"""`finetune render`: what the operator will create, without a cluster."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from finetune_cli.app import app
from finetune_operator.render import PLACEHOLDER_UID, render_children
from finetune_operator.settings import Settings
from support.configs import training, write_yaml
from support.operator_jobs import job

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "arc-easy"


def _render(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["render", *map(str, arguments)])


def _objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def test_the_objects_are_those_of_the_operator_in_its_order(tmp_path: Path) -> None:
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    document = job(output={"volumeClaimTemplate": {"spec": claim}})
    found = _objects(_render(write_yaml(tmp_path / "job.yaml", document)))
    document["metadata"]["namespace"] = "default"
    assert found == render_children(document, Settings())
    kinds = [body["kind"] for body in found]
    assert sorted(kinds[:4]) == ["ConfigMap", "NetworkPolicy", "PersistentVolumeClaim", "Service"]
    names = [body["metadata"]["name"] for body in found[4:]]
    assert names == ["arc-easy-prepare", "arc-easy-0-0", "arc-easy-0-1"]


def test_the_placeholder_is_explained_and_the_configuration_readable(tmp_path: Path) -> None:
    text = _render(write_yaml(tmp_path / "job.yaml", job())).stdout
    assert text.startswith(f"# {PLACEHOLDER_UID} stands for the uid that the API server will give the job.\n---\n")
    assert '  config.json: |-\n    {\n      "' in text
    assert "&id" not in text


def test_json_is_a_list_of_the_same(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "job.yaml", job())
    listed = json.loads(_render(file, "-o", "json").stdout)
    assert (listed["kind"], listed["items"]) == ("List", _objects(_render(file)))


def test_the_namespace_is_the_manifests_or_the_given_one_and_not_two(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "job.yaml", job())
    assert {body["metadata"]["namespace"] for body in _objects(_render(file, "-n", "lab"))} == {"lab"}
    document = job()
    document["metadata"] = {"name": "arc-easy", "namespace": "team"}
    file = write_yaml(tmp_path / "job.yaml", document)
    assert {body["metadata"]["namespace"] for body in _objects(_render(file))} == {"team"}
    result = _render(file, "-n", "lab")
    assert (result.exit_code, result.stderr) == (
        2, "ConfigInvalid: metadata.namespace: is team, and --namespace says lab\n",
    )  # fmt: skip


def test_settings_of_the_operator_are_heeded_and_checked(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "job.yaml", job())
    settings = write_yaml(tmp_path / "settings.yaml", {"trainerImage": "registry.example/trainer:2"})
    pods = [body for body in _objects(_render(file, "--settings", settings)) if body["kind"] == "Pod"]
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"registry.example/trainer:2"}
    result = _render(file, "--settings", write_yaml(tmp_path / "settings.yaml", {"trainerImgae": "x"}))
    assert result.exit_code == 2
    assert "did you mean trainerImage?" in result.stderr


def test_a_mistake_of_the_job_is_told_as_elsewhere(tmp_path: Path) -> None:
    document = job()
    document["spec"]["config"]["max_duration"] = "12xx"
    document["spec"]["nodse"] = 2
    result = _render(write_yaml(tmp_path / "job.yaml", document))
    assert result.exit_code == 2
    assert "spec.nodse: unknown key; did you mean nodes?" in result.stderr
    del document["spec"]["nodse"]
    result = _render(write_yaml(tmp_path / "job.yaml", document))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "spec.config.max_duration: '12xx' is not a duration" in result.stderr


def test_a_training_file_is_no_job(tmp_path: Path) -> None:
    result = _render(write_yaml(tmp_path / "train.yaml", training()))
    assert result.exit_code == 2
    assert "is a training file, not a FinetuneJob; `finetune run` takes it" in result.stderr


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*job.yaml")))
def test_every_example_can_be_rendered(name: str) -> None:
    assert any(body["kind"] == "Pod" for body in _objects(_render(EXAMPLES / name)))


def test_rendering_imports_neither_torch_nor_a_client_of_clusters(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "job.yaml", job())
    code = (
        "import sys; from typer.testing import CliRunner; from finetune_cli.app import app; "
        f"assert CliRunner().invoke(app, ['render', {str(file)!r}]).exit_code == 0; "
        "print({'torch', 'transformers', 'kubernetes', 'kopf'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
