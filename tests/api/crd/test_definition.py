import json
import sys
from pathlib import Path

import pytest
import yaml

from finetune_api.crd import crd, crd_yaml, job_schema
from support.schemas import structural_mistakes, value_mistakes
from support.shell import ROOT, run

FILE = ROOT / "crds" / "finetunejobs.yaml"
COMMAND = [sys.executable, "-m", "finetune_api.crd"]


def test_the_file_agrees_with_the_models() -> None:
    assert FILE.read_text(encoding="utf-8") == crd_yaml(), "run: make crds"


def test_the_command_prints_the_definition(tmp_path: Path) -> None:
    assert run(COMMAND, cwd=ROOT, cache=tmp_path).stdout == crd_yaml()


@pytest.mark.parametrize("text", ["", crd_yaml() + "# and more"])
def test_a_stale_file_is_told_with_the_command_that_mends_it(tmp_path: Path, text: str) -> None:
    stale = tmp_path / "stale.yaml"
    stale.write_text(text, encoding="utf-8")
    checked = run([*COMMAND, "--check", str(stale)], cwd=ROOT, cache=tmp_path)
    assert checked.returncode == 1
    assert "stale.yaml is stale; run: make crds" in checked.stdout


def test_a_fresh_file_passes_the_check(tmp_path: Path) -> None:
    assert run([*COMMAND, "--check", str(FILE)], cwd=ROOT, cache=tmp_path).returncode == 0


def test_everything_but_the_configuration_is_typed_described_and_bounded() -> None:
    properties = job_schema()["properties"]
    spec = {**properties["spec"], "properties": {**properties["spec"]["properties"]}}
    del spec["properties"]["config"]
    assert [*structural_mistakes(spec, "spec"), *structural_mistakes(properties["status"], "status")] == []


def test_the_definition_is_small_enough_for_kubectl_apply() -> None:
    # kubectl keeps a copy of the whole object in an annotation of at most 256 KiB.
    assert len(json.dumps(crd(), ensure_ascii=False).encode()) < 200 * 1024


def test_a_job_goes_by_its_names() -> None:
    definition = crd()
    names = definition["spec"]["names"]
    assert definition["metadata"]["name"] == "finetunejobs.finetune.dev"
    assert (names["kind"], names["shortNames"]) == ("FinetuneJob", ["ftj"])
    assert definition["spec"]["scope"] == "Namespaced"


def test_kubectl_shows_how_a_job_is_doing() -> None:
    columns = crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert shown == ["State", "Nodes", "Step", "Loss", "ETA", "Restarts", "Age"]
    assert [column["name"] for column in columns if column.get("priority")] == ["Model", "Image"]


def test_every_column_shows_a_field_of_the_schema() -> None:
    for column in crd()["spec"]["versions"][0]["additionalPrinterColumns"]:
        schema = job_schema()
        for step in column["jsonPath"].lstrip(".").split("."):
            if step == "metadata":
                break
            assert step in schema["properties"], column
            schema = schema["properties"][step]


def test_status_is_a_subresource_that_begins_unobserved() -> None:
    assert crd()["spec"]["versions"][0]["subresources"] == {"status": {}}
    status = job_schema()["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    assert status["properties"]["observedGeneration"]["default"] == -1
    assert status["properties"]["conditions"]["x-kubernetes-list-map-keys"] == ["type"]


def test_defaults_are_static_and_made_from_empty_parts() -> None:
    spec = job_schema()["properties"]["spec"]["properties"]
    assert spec["nodes"]["default"] == 1
    assert spec["runPolicy"]["default"] == {}
    assert spec["runPolicy"]["properties"]["maxRestarts"]["default"] == 3
    assert "default" not in spec["podTemplate"]  # it has nothing to default: nothing is written into a job


@pytest.mark.parametrize("file", sorted((ROOT / "examples").rglob("*job.yaml")), ids=lambda file: file.name)
def test_the_examples_fit_the_schema(file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        assert list(value_mistakes(job_schema(), document, "")) == []
