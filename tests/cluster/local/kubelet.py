"""The kubelet of a node: its configuration and command line."""

from pathlib import Path
from typing import Any, Final

from cluster.components import Command
from cluster.local.site import Site

PORT: Final = 10250
"""The usual one: each node has its own address."""


def config(site: Site, authority: Path, dns: str) -> dict[str, Any]:
    """Return the KubeletConfiguration."""
    folder = site.directory / "kubelet"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": site.address,
        "port": PORT,
        "healthzPort": 0,
        "authentication": {
            "x509": {"clientCAFile": str(authority)},
            "webhook": {"enabled": True},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{site.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": site.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,  # it cannot tell the size of an overlay's disk on every machine
        "makeIPTablesUtilChains": False,
        "clusterDNS": [dns],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        "podLogsDir": str(site.directory / "logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        "imageGCHighThresholdPercent": 100,  # the images cannot be pulled again
        "evictionHard": {"memory.available": "100Mi"},  # a test machine's disk is often nearly full
        "syncFrequency": "10s",
    }


def command(binary: Path, site: Site, config_file: Path, kubeconfig: Path) -> Command:
    """Return the command line."""
    folder = site.directory / "kubelet"
    flags = {
        "config": config_file,
        "kubeconfig": kubeconfig,
        "root-dir": folder,
        "cert-dir": folder / "pki",
        "hostname-override": site.name,
        "node-ip": site.address,
    }
    return [binary, *(f"--{name}={value}" for name, value in flags.items())]
