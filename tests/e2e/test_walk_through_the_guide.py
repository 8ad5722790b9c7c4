"""The guide and the runbook, command by command, on a cluster without an operator; then it is uninstalled."""

from pathlib import Path

import pytest

from cluster.kubectl import kubectl
from cluster.provider import Cluster
from support.doc_blocks import blocks, guide, workspace_like_the_root
from support.helm_release import SYSTEM, values_for
from support.shell import ROOT
from support.workspace import Workspace

_VALUES = "my-values.yaml"


@pytest.fixture
def reader(cluster: Cluster) -> Workspace:
    """A reader of the guide, at a cluster where nothing is installed."""
    kubectl(cluster.kubeconfig, "delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=60s")
    return Workspace(cluster.kubeconfig, "training")


def test_every_command_does_what_the_guide_says(reader: Workspace, cluster: Cluster, tmp_path: Path) -> None:
    place = workspace_like_the_root(tmp_path)
    pages = [*guide(), ROOT / "docs" / "runbook.md"]
    for kinds in ({"cluster"}, {"uninstall"}):
        for page in pages:
            _play(reader, page, kinds, place, values_for(cluster.operator_image, cluster.trainer_image))
    reader.delete()


def _play(reader: Workspace, page: Path, kinds: set[str], place: Path, values: str) -> None:
    for block in blocks(page):
        if block.is_file:
            block.write(place)
            (place / _VALUES).write_text(values, encoding="utf-8")
        elif block.language == "console" and block.word in kinds:
            for command in block.commands:
                done = reader.shell(f"set -o pipefail; {command}", place, timeout=500)
                assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}\n{_story(reader)}"


def _story(reader: Workspace) -> str:
    return reader.shell("kubectl -n training get ftj,pods; kubectl -n finetune-system get pods", ROOT).stdout
