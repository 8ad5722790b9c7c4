from pathlib import Path

from cluster.local.remains import servers

_CLUSTER = Path("/c/cluster")


def _process(proc: Path, pid: int, *words: str) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "cmdline").write_bytes("\0".join((*words, "")).encode())


def test_our_programs_are_known_by_a_path_in_the_folder(tmp_path: Path) -> None:
    _process(tmp_path, 10, "/usr/bin/containerd", "--config", "/c/cluster/node-1/containerd.toml")
    _process(tmp_path, 11, "/usr/bin/containerd-shim-runc-v2", "-address", "/c/cluster/node-1/containerd.sock")
    _process(tmp_path, 12, "/go/kubelet", "--config=/c/cluster/node-1/kubelet.json")
    assert sorted(servers(_CLUSTER, tmp_path)) == [10, 11, 12]


def test_the_machines_own_runtime_is_left_alone(tmp_path: Path) -> None:
    _process(tmp_path, 20, "/usr/bin/containerd")
    _process(tmp_path, 21, "/usr/bin/containerd", "--config", "/c/cluster-of-others/containerd.toml")
    assert list(servers(_CLUSTER, tmp_path)) == []


def test_what_a_person_does_with_the_clusters_files_goes_on(tmp_path: Path) -> None:
    _process(tmp_path, 30, "vi", "/c/cluster/node-1/kubelet.log")
    _process(tmp_path, 31, "/bin/kubectl", "--kubeconfig", "/c/cluster/control-plane/admin.kubeconfig", "get", "pods")
    assert list(servers(_CLUSTER, tmp_path)) == []


def test_a_process_that_ends_meanwhile_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "40").mkdir()
    _process(tmp_path, 41, "")
    assert list(servers(_CLUSTER, tmp_path)) == []
