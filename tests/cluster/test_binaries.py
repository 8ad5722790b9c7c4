from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import binaries
from cluster.binaries import ToolMissing, acceptable, find, version_in
from cluster.required import SWITCH, cluster_required
from cluster.tools import TOOLS

HELM, KUBELET = TOOLS["helm"], TOOLS["kubelet"]


@pytest.fixture
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with nothing on PATH, an empty cache, and no way to build: even Go is missing."""
    monkeypatch.setenv("FINETUNE_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    binaries.find.cache_clear()
    (tmp_path / "bin").mkdir()
    yield tmp_path
    binaries.find.cache_clear()  # what was found here exists for this test only


def put(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Kubernetes v1.36.3", (1, 36, 3)),
        ("etcd Version: 3.6.8\nGit SHA: Not provided", (3, 6, 8)),
        ('version.BuildInfo{Version:"v4.2.3", GitCommit:""}', (4, 2, 3)),
        ("no idea", ()),
    ],
)
def test_a_version_is_found_in_what_a_tool_says(said: str, version: tuple[int, ...]) -> None:
    assert version_in(said) == version


@pytest.mark.parametrize(
    ("version", "fits"), [((4, 2, 3), True), ((4, 9, 0), True), ((4, 2, 2), False), ((5, 0, 0), False), ((), False)]
)
def test_an_installed_tool_may_be_newer_but_of_no_other_generation(version: tuple[int, ...], fits: bool) -> None:
    assert acceptable(version, HELM) is fits


@pytest.mark.parametrize(
    ("version", "fits"), [((1, 36, 0), True), ((1, 36, 9), True), ((1, 35, 9), False), ((1, 37, 0), False), ((), False)]
)
def test_components_of_kubernetes_must_fit_each_other(version: tuple[int, ...], fits: bool) -> None:
    assert acceptable(version, KUBELET) is fits


def test_an_installed_tool_comes_first(empty_machine: Path) -> None:
    installed = put(empty_machine / "bin", "helm", 'Version:"v4.5.0"')
    assert find("helm") == installed


def test_then_those_of_kubebuilder(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(empty_machine / "bin", "kube-apiserver", "Kubernetes v1.30.0")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(empty_machine / "assets"))
    asset = put(empty_machine / "assets", "kube-apiserver", "Kubernetes v1.36.1")
    assert find("kube-apiserver") == asset


def test_then_the_cache_by_version(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.cache.system", lambda: ("linux", "amd64"))
    kept = put(empty_machine / "cache" / "bin" / f"helm-{HELM.version}-linux-amd64", "helm", "never asked")
    assert find("helm") == kept


def test_what_cannot_be_had_says_what_was_tried(empty_machine: Path) -> None:
    put(empty_machine / "bin", "kubelet", "Kubernetes v1.2.3")
    with pytest.raises(ToolMissing) as caught:
        find("kubelet")
    message = str(caught.value)
    assert f"kubelet {KUBELET.version}: {empty_machine}/bin/kubelet is 1.2.3; not in {empty_machine}/cache" in message
    assert "making it failed" in message


def test_a_missing_tool_skips_the_test_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(pytest.skip.Exception, match="etcd cannot be had"), cluster_required():
        raise ToolMissing("etcd cannot be had")


def test_a_missing_tool_fails_where_a_cluster_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(pytest.fail.Exception, match=r"REQUIRE_CLUSTER=1.*etcd cannot be had"), cluster_required():
        raise ToolMissing("etcd cannot be had")
