"""Local directories for a manifest's volumes."""

from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import ConfigInvalid
from finetune_cli.inputs import localised
from finetune_cli.mounts import parse_mounts
from support.configs import manifest, training, write_yaml

CODE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"pre.py": "x = 1\n"}}
DATASET = {"volume": {"persistentVolumeClaim": {"claimName": "questions"}}, "mountPath": "/data"}
CONFIG = training()
CONFIG["train_loader"]["dataset"]["hf_kwargs"] = {"data_dir": "/data/arc"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "questions").mkdir()
    return tmp_path / "cache"


def job(tmp_path: Path, *others: dict[str, Any], **spec: Any) -> Path:
    return write_yaml(tmp_path / "job.yaml", *others, manifest(CONFIG, **spec))


def test_paths_below_a_claims_mount_path_lie_in_its_directory(tmp_path: Path) -> None:
    given = localised(job(tmp_path, dataset=DATASET), [], [f"questions={tmp_path / 'questions'}"])
    kwargs = given.config.train_loader.dataset.hf_kwargs
    assert kwargs["data_dir"] == str(tmp_path / "questions" / "arc")


def test_a_claim_without_a_directory_is_answered_with_the_option_to_add(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"spec\.dataset\.volume: .*questions; add --mount questions=DIR"):
        localised(job(tmp_path, dataset=DATASET), [], [])


def test_a_config_map_of_the_same_file_becomes_a_folder_of_modules(tmp_path: Path, cache: Path) -> None:
    file = job(tmp_path, CODE, code={"configMap": {"name": "code"}})
    given = localised(file, [], [])
    assert (given.code_dir / "pre.py").read_text(encoding="utf-8") == "x = 1\n"
    assert given.code_dir.is_relative_to(cache)
    assert localised(file, [], []).code_dir == given.code_dir


def test_a_config_map_from_elsewhere_needs_a_directory(tmp_path: Path) -> None:
    file = job(tmp_path, code={"configMap": {"name": "code"}})
    with pytest.raises(ConfigInvalid, match="ConfigMap code is not in this file; add --mount code=DIR"):
        localised(file, [], [])
    assert localised(file, [], [f"code={tmp_path}"]).code_dir == tmp_path


def test_the_output_lies_where_its_claim_is_mounted(tmp_path: Path) -> None:
    assert localised(job(tmp_path), [], []).output is None
    assert localised(job(tmp_path), [], [f"results={tmp_path}"]).output == tmp_path


def test_a_mount_that_the_job_does_not_have_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="the job has no volume reslts; it has: results"):
        localised(job(tmp_path), [], [f"reslts={tmp_path}"])


def test_what_only_a_cluster_can_fetch_is_refused(tmp_path: Path) -> None:
    source = {"source": {"uri": "s3://bucket/questions"}, "mountPath": "/data"}
    with pytest.raises(ConfigInvalid, match="s3://bucket/questions is fetched in a cluster only"):
        localised(job(tmp_path, dataset=source), [], [])


@pytest.mark.parametrize(
    ("mount", "what"), [("questions", "is not NAME=DIR"), ("a=/no/such/place", "there is no directory")]
)
def test_a_bad_mount_says_what_is_wrong_with_it(mount: str, what: str) -> None:
    with pytest.raises(ConfigInvalid, match=what):
        parse_mounts([mount])


def test_a_training_file_has_nothing_to_mount(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="a training YAML has no volumes"):
        localised(write_yaml(tmp_path / "train.yaml", training()), [], [f"a={tmp_path}"])
