"""Taking a local cluster away completely, whatever state it is in: after a test, an interrupt, or a killed run."""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cluster.local import cgroups, mounts, network, strays

_PROGRAMS: Final = frozenset(
    ("containerd", "containerd-shim-runc-v2", "runc", "kubelet", "kube-proxy", "coredns", "buildkitd")
)
_SETTINGS: Final = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
"""What kubelets and pod networks change in the kernel."""
_SECONDS: Final = 30.0


def remember(directory: Path) -> None:
    """Write down the kernel's settings before anything changes them."""
    settings = {name: Path("/proc/sys", name).read_text(encoding="ascii").strip() for name in _SETTINGS}
    (directory / "kernel.json").write_text(json.dumps(settings), encoding="ascii")


def remove(directory: Path) -> None:
    """End every process of the cluster in `directory` and undo all it did to this machine."""
    if not directory.exists():
        return
    stop(directory)
    network.remove()
    _restore(directory)
    shutil.rmtree(directory)


def stop(directory: Path) -> None:
    """End everything that runs from `directory`, and all that is mounted there; its files stay."""
    end_processes(directory)
    mounts.unmount_below(directory)
    cgroups.remove()
    strays.remove(directory)


def end_processes(directory: Path, group: str | None = None) -> None:
    """Kill the servers whose command line names `directory`, then what runs in the pods; raises TimeoutError."""
    deadline = time.monotonic() + _SECONDS
    while _kill_servers(directory) | (cgroups.kill(group) if group else cgroups.kill()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {directory} do not end: see /proc/*/stack")
        time.sleep(0.05)


def _kill_servers(directory: Path) -> bool:
    found = list(servers(directory, Path("/proc")))
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


def servers(directory: Path, proc: Path) -> Iterator[int]:
    """Yield the processes that are one of our programs and were started with a path in `directory`."""
    for entry in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            if Path(words[0]).name in _PROGRAMS and any(f"{directory}/" in word for word in words):
                yield int(entry.name)


def _restore(directory: Path) -> None:
    saved = directory / "kernel.json"
    settings = json.loads(saved.read_text(encoding="ascii")) if saved.exists() else {}
    for name, value in settings.items():
        Path("/proc/sys", name).write_text(value, encoding="ascii")
