"""What this machine must have to be a node itself, and where its programs are."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cluster.binaries import ToolMissing

_PROGRAMS: Final = {
    "containerd": "containerd",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "iptables-save": "iptables",
}
"""Each program, and the Debian package that has it."""
_PLUGIN_FOLDERS: Final = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_PLUGINS: Final = ("bridge", "host-local", "loopback")
_KUBELET: Final = Path("/var/lib/kubelet/config.yaml")
_SYSTEM_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"

Which = Callable[[str], str | None]


def environment() -> dict[str, str]:
    """Return variables with which programs of administrators are found too: people's PATH often lacks them."""
    return {"PATH": f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}"}


def program(name: str) -> Path:
    """Return where a program of the system is; raises ToolMissing."""
    if found := _which(name):
        return Path(found)
    raise ToolMissing(f"{name} is not installed; on Debian: apt install {_PROGRAMS.get(name, name)}")


def plugins() -> Path:
    """Return the folder of the network plugins; raises ToolMissing."""
    for folder in map(Path, _PLUGIN_FOLDERS):
        if all((folder / name).exists() for name in _PLUGINS):
            return folder
    raise ToolMissing(
        f"no network plugins in {', '.join(_PLUGIN_FOLDERS)}; on Debian: apt install containernetworking-plugins"
    )


def check() -> None:
    """Raise ToolMissing with everything that is missing, at once."""
    if _KUBELET.exists():
        raise ToolMissing(f"this machine is a node of a cluster already ({_KUBELET} is there), and stays undisturbed")
    if lacks := missing(sys.platform, os.geteuid(), _which, _plugins_missing()):
        raise ToolMissing(f"a cluster on this machine needs {'; '.join(lacks)}")


def missing(platform: str, user: int, which: Which, plugins_missing: bool) -> list[str]:
    """Return what keeps a machine from being a node, a phrase for each."""
    if platform != "linux":
        return ["Linux (elsewhere: Docker and kind, or a cluster named by KUBECONFIG)"]
    lacks = [] if user == 0 else ["root (or Docker and kind, or a cluster named by KUBECONFIG)"]
    packages = {package for name, package in _PROGRAMS.items() if not which(name)}
    if plugins_missing:
        packages.add("containernetworking-plugins")
    if packages:
        lacks.append(f"packages: apt install {' '.join(sorted(packages))}")
    return lacks


def _which(name: str) -> str | None:
    return shutil.which(name, path=environment()["PATH"])


def _plugins_missing() -> bool:
    try:
        plugins()
    except ToolMissing:
        return True
    return False
