"""The hub-free example job, as it is in the repository but for what a test changes, and the ConfigMaps it names."""

import copy
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from finetune_api.names import JOB_NAME_LABEL, ROLE_LABEL, TRAINER_ROLE
from support.shell import ROOT, run
from support.workspace import Workspace

EXAMPLE: Final = ROOT / "examples" / "arc-easy"
MANIFEST: Final = EXAMPLE / "arc-easy-local-job.yaml"
NAME: Final = "arc-easy-local"
CLAIM: Final = "arc-easy-local-output"

Body = dict[str, Any]


def example_job(*, nodes: int = 2, epochs: int = 2, **spec: Any) -> Body:
    """Return the job on so many nodes that share a volume; `spec` replaces fields."""
    job: Body = copy.deepcopy(yaml.safe_load(MANIFEST.read_text(encoding="utf-8")))
    job["spec"] |= {"nodes": nodes, **spec}
    claim = job["spec"]["output"].get("volumeClaimTemplate")
    if claim and nodes > 1:
        claim["spec"]["accessModes"] = ["ReadWriteMany"]
    job["spec"]["config"]["max_duration"] = f"{epochs}ep"
    job["spec"]["resources"] = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
    job["spec"].setdefault("prepare", {"resources": job["spec"]["resources"]})
    return job


def on_different_nodes() -> Body:
    """Return a `scheduling` that keeps the training pods of the job apart."""
    pods = {"matchLabels": {JOB_NAME_LABEL: NAME, ROLE_LABEL: TRAINER_ROLE}}
    term = {"labelSelector": pods, "topologyKey": "kubernetes.io/hostname"}
    return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def make_model(directory: Path) -> Path:
    """Make the example's model, as small as it can be."""
    command = [sys.executable, str(EXAMPLE / "make_model.py"), "--width", "32", "--layers", "2", str(directory)]
    made = run(command, cwd=ROOT, cache=directory)
    assert made.returncode == 0, made.stdout
    return directory


def give_inputs(workspace: Workspace, model: Path, *, data: Path = EXAMPLE, code: Path | None = None) -> None:
    """Make the ConfigMaps of the example's data, code and model."""
    give_code(workspace, code)
    give_data_and_model(workspace, model, data)


def give_code(workspace: Workspace, code: Path | None = None) -> None:
    """Make the ConfigMap of the example's code."""
    workspace.config_map("arc-easy-code", code or EXAMPLE / "preprocessing.py")


def give_data_and_model(workspace: Workspace, model: Path, data: Path = EXAMPLE) -> None:
    """Make the ConfigMaps of the example's data and model."""
    workspace.config_map("arc-easy", data / "train.jsonl", data / "validation.jsonl")
    workspace.config_map("arc-easy-model", *sorted(model.iterdir()))
