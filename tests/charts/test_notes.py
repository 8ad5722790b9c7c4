"""What helm prints after an install holds, and its sample is a job that runs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune_api.job.load import load_job
from support.charts import CHART, NAMESPACE, RELEASE, helm
from support.shell import finetune

SAMPLE = (CHART / "files" / "sample.yaml").read_text(encoding="utf-8")


def _notes(*values: str) -> str:
    flags = [flag for value in values for flag in ("--set", value)]
    done = helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2]


def _documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(SAMPLE))


def test_the_notes_print_the_sample_as_it_can_be_saved() -> None:
    assert SAMPLE.strip() in _notes()


def test_the_notes_say_whose_jobs_are_run_and_use_a_namespace_of_those() -> None:
    assert "runs the FinetuneJobs of every namespace but team-c." in _notes("watch.excludeNamespaces={team-c}")
    chosen = _notes("watch.namespaces={team-a,team-b}")
    assert "runs the FinetuneJobs of team-a, team-b." in chosen
    assert "kubectl apply --namespace team-a -f capitals.yaml" in chosen


def test_the_notes_warn_of_images_that_name_no_registry() -> None:
    assert "image.repository names no registry: `finetune-operator`" in _notes()
    full = ("image.repository=registry.example.com/op", "trainer.image.repository=registry.example.com/tr")
    assert "names no registry" not in _notes(*full)


def test_the_notes_say_what_stays() -> None:
    assert "stay when this release is uninstalled" in _notes()
    assert "stay when this release is uninstalled" not in _notes("crds.keep=false")


def test_the_sample_refers_only_to_what_it_brings() -> None:
    *maps, job = _documents()
    spec = job["spec"]
    used = [spec[part]["volume"]["configMap"]["name"] for part in ("dataset", "model")]
    assert used == [one["metadata"]["name"] for one in maps]


@pytest.mark.distributed
def test_the_sample_runs_and_learns_its_capitals(tmp_path: Path) -> None:
    *maps, job = _documents()
    for one in maps:
        folder = tmp_path / one["metadata"]["name"]
        folder.mkdir()
        for name, content in one["data"].items():
            (folder / name).write_text(content, encoding="utf-8")
    manifest = tmp_path / "capitals.yaml"
    manifest.write_text(yaml.safe_dump(job), encoding="utf-8")
    load_job(job)
    mounts = [f"--mount={one['metadata']['name']}={tmp_path / one['metadata']['name']}" for one in maps]
    done = finetune("run", manifest, *mounts, "--output", tmp_path / "out", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stdout
    last = yaml.safe_load((tmp_path / "out" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["loss"] < 0.3  # guessing one of four capitals costs 0.69
