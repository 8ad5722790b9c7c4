"""The container runtime of a node: containerd with its own folders, and a bridge for the pods' network."""

import json
from pathlib import Path
from typing import Any, Final

from cluster.local.site import Site

RUNTIME: Final = """\
version = 2
root = "{root}"
state = "{state}"
{disabled}
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
"""
_KUBERNETES: Final = """\
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  restrict_oom_score_adj = true  # inside of a container nobody may lower the score
  netns_mounts_under_state_dir = true  # not /run/netns: then all that is to be unmounted is in one place
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{runc}"
"""


def node_config(site: Site, sandbox_image: str, plugins: Path) -> str:
    """Return containerd's configuration for a node."""
    basic = RUNTIME.format(
        root=site.directory / "containerd", state=site.directory / "state", disabled="", socket=site.socket
    )
    return basic + _KUBERNETES.format(
        sandbox_image=sandbox_image, plugins=plugins, networks=site.directory / "networks", runc=site.directory / "runc"
    )


def builder_config(directory: Path) -> str:
    """Return containerd's configuration for building images: no pods, so no pod network."""
    return RUNTIME.format(
        root=directory / "containerd",
        state=directory / "state",
        disabled='disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        socket=directory / "containerd.sock",
    )


def network(site: Site) -> dict[str, Any]:
    """Return the plugin configuration of the node's pod network."""
    addresses = {
        "type": "host-local",
        "dataDir": str(site.directory / "addresses"),
        "ranges": [[{"subnet": site.subnet, "gateway": site.address}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": site.bridge, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": site.network, "plugins": [bridge]}


def write(site: Site, sandbox_image: str, plugins: Path) -> Path:
    """Write both configurations and return the path of containerd's."""
    networks = site.directory / "networks"
    networks.mkdir(exist_ok=True)
    (networks / "10-pods.conflist").write_text(json.dumps(network(site), indent=2), encoding="utf-8")
    path = site.directory / "containerd.toml"
    path.write_text(node_config(site, sandbox_image, plugins), encoding="utf-8")
    return path
