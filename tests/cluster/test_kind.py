import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.binaries import ToolMissing
from cluster.kind import KindCluster, cluster_config


class FakeShell:
    """Keeps the commands, and what the file given as --config says."""

    def __init__(self, fails: str = "") -> None:
        self.commands: list[list[str]] = []
        self.fails = fails

    def __call__(self, command: Sequence[str | Path]) -> None:
        self.commands.append([str(word) for word in command])
        if self.fails and self.fails in self.commands[-1]:
            raise ToolMissing(f"{self.fails} failed")

    def verbs(self) -> list[str]:
        return [" ".join(command[:2]) for command in self.commands]


def test_a_cluster_is_made_filled_and_deleted() -> None:
    shell = FakeShell()
    with KindCluster(run=shell):
        pass
    kubectl = shell.commands[-2]
    assert shell.verbs() == ["kind create", *["docker build"] * 3, "kind load", " ".join(kubectl[:2]), "kind delete"]
    assert kubectl[-3:-1] == ["apply", "--filename"]


def test_the_users_own_kubeconfig_and_clusters_are_never_touched() -> None:
    shell = FakeShell()
    with KindCluster(run=shell) as cluster:
        assert cluster.name.startswith("finetune-")
    for command in shell.commands:
        if command[0] == "kind":
            assert cluster.name in command
        if command[:2] in (["kind", "create"], ["kind", "delete"]):
            assert command[command.index("--kubeconfig") + 1] == str(cluster.kubeconfig)


def test_a_cluster_that_cannot_be_filled_is_deleted_again() -> None:
    shell = FakeShell(fails="load")
    with pytest.raises(ToolMissing, match="load failed"):
        KindCluster(run=shell).__enter__()
    assert shell.verbs()[-1] == "kind delete"


def test_nothing_is_left_on_the_disk() -> None:
    with KindCluster(run=FakeShell()) as cluster:
        assert json.loads((cluster.directory / "kind.json").read_text())["kind"] == "Cluster"
    assert not cluster.directory.exists()


def test_every_node_sees_the_tests_volumes() -> None:
    config = cluster_config(2, Path("/tmp/volumes"))
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert all(node["extraMounts"][0]["hostPath"] == "/tmp/volumes" for node in config["nodes"])
