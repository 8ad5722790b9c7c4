"""The few files that runtimes keep where nobody can configure it, found by what is in them and removed."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LEASES: Final = Path("/var/lib/cni/results")
_LOG_LINKS: Final = Path("/var/log/containers")
_SOCKETS: Final = (Path("/run/containerd/s"), Path("/var/lib/kubelet/device-plugins"))
_LISTENING: Final = Path("/proc/net/unix")
_FOLDERS: Final = (
    *("/var/lib/cni/results", "/var/lib/cni", "/var/log/containers"),
    *("/var/lib/kubelet/device-plugins", "/var/lib/kubelet"),
    *("/run/containerd/s", "/run/containerd/fifo", "/run/containerd/runc/k8s.io", "/run/containerd/runc"),
    *("/run/containerd", "/run/buildkit"),
)
"""Removed when they are empty, inner ones first."""


def remove(directory: Path) -> None:
    """Remove what a cluster in `directory`, which no longer runs, left elsewhere."""
    for file in _files(_LEASES):
        if str(directory) in file.read_text(encoding="utf-8", errors="replace"):
            file.unlink()
    for link in _files(_LOG_LINKS):
        if link.is_symlink() and str(link.readlink()).startswith(f"{directory}/"):
            link.unlink()
    _remove_dead_sockets()
    for folder in map(Path, _FOLDERS):
        with contextlib.suppress(OSError):  # not empty, or not there
            folder.rmdir()


def _remove_dead_sockets() -> None:
    listening = _LISTENING.read_text(encoding="utf-8")
    for folder in _SOCKETS:
        for socket in _files(folder):
            if socket.is_socket() and str(socket) not in listening:
                socket.unlink()


def _files(folder: Path) -> Iterable[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
