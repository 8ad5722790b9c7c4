from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune_api.errors import ConfigInvalid
from finetune_api.manifest import JobManifest, TrainingDocument, load_file
from support.training_files import minimal_config

CODE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"f.py": "x = 1\n"}}


def job(**config: Any) -> dict[str, Any]:
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": "arc-easy"},
        "spec": {
            "config": {**minimal_config(), **config},
            "output": {"volume": {"persistentVolumeClaim": {"claimName": "results"}}},
        },
    }


def write(directory: Path, *documents: Any) -> Path:
    path = directory / "job.yaml"
    path.write_text("---\n".join(yaml.safe_dump(document) for document in documents))
    return path


def test_a_bare_training_file_is_told_from_a_manifest(tmp_path: Path) -> None:
    document = load_file(write(tmp_path, minimal_config()))
    assert isinstance(document, TrainingDocument)
    assert document.training_config(["seed=3"]).config.seed == 3


def test_the_one_job_among_other_objects_is_found(tmp_path: Path) -> None:
    manifest = load_file(write(tmp_path, CODE, job()))
    assert isinstance(manifest, JobManifest)
    assert manifest.job.metadata.name == "arc-easy"
    assert manifest.others == (CODE,)
    assert manifest.config_map("code") == {"f.py": "x = 1\n"}
    assert manifest.config_map("other") is None


def test_a_list_is_opened(tmp_path: Path) -> None:
    manifest = load_file(write(tmp_path, {"apiVersion": "v1", "kind": "List", "items": [CODE, job()]}))
    assert isinstance(manifest, JobManifest)
    assert manifest.others == (CODE,)


def test_mistakes_of_a_jobs_configuration_have_the_path_of_the_manifest(tmp_path: Path) -> None:
    manifest = load_file(write(tmp_path, job(presicion="fp32")))
    with pytest.raises(ConfigInvalid, match=r"spec\.config\.presicion: unknown key; did you mean precision\?"):
        manifest.training_config()


def test_overrides_reach_the_jobs_configuration(tmp_path: Path) -> None:
    assert load_file(write(tmp_path, job())).training_config(["optimizer.lr=1e-4"]).config.optimizer.lr == 1e-4


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        ([job(), job()], "holds 2 objects of kind FinetuneJob; keep one per file"),
        ([CODE], "holds no object of kind FinetuneJob, only ConfigMap"),
        ([{**job(), "kind": "FinetuneJobs"}], "FinetuneJobs looks like a misspelt FinetuneJob"),
    ],
)
def test_a_file_without_exactly_one_job_is_a_mistake(tmp_path: Path, documents: list[Any], sentence: str) -> None:
    path = write(tmp_path, *documents)
    with pytest.raises(ConfigInvalid, match=sentence):
        load_file(path)
