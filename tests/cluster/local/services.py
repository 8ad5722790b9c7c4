"""What pods expect of every cluster: names (CoreDNS) and Services with an address of their own (kube-proxy)."""

import json
from pathlib import Path
from typing import Any, Final

from cluster.binaries import find
from cluster.components import LOOPBACK, Command
from cluster.local import host
from cluster.local.site import POD_RANGE
from cluster.ports import free_port
from cluster.processes import Process
from cluster.rest import Rest

_ZONE: Final = """\
.:53 {{
    bind {address}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        ttl 0
        fallthrough in-addr.arpa ip6.arpa
    }}
    forward . /etc/resolv.conf
    ready {loopback}:{port}
}}
"""


def names(directory: Path, kubeconfig: Path, address: str) -> Process:
    """Start CoreDNS on `address`, and wait until it has seen the Services."""
    port, config = free_port(), directory / "Corefile"
    config.write_text(zone(address, kubeconfig, port), encoding="utf-8")
    process = Process("coredns", [find("coredns"), "-conf", config], directory / "coredns.log")
    process.wait_ready(lambda: Rest(f"http://{LOOPBACK}:{port}").answers("/ready"))
    return process


def addresses(directory: Path, kubeconfig: Path, node: str) -> Process:
    """Start kube-proxy, and wait until Services have addresses; one serves every node, as they share one kernel."""
    health, config = free_port(), directory / "kube-proxy.json"
    content = proxy_config(kubeconfig, node, free_port(), health)
    config.write_text(json.dumps(content, indent=2), encoding="utf-8")
    command: Command = [find("kube-proxy"), "--config", config]
    process = Process("kube-proxy", command, directory / "kube-proxy.log", host.environment())
    process.wait_ready(lambda: Rest(f"http://{LOOPBACK}:{health}").answers("/healthz"))
    return process


def zone(address: str, kubeconfig: Path, port: int) -> str:
    """Return the Corefile; `ttl 0` because pods of one name come and go within seconds."""
    return _ZONE.format(address=address, kubeconfig=kubeconfig, loopback=LOOPBACK, port=port)


def proxy_config(kubeconfig: Path, node: str, metrics_port: int, health_port: int) -> dict[str, Any]:
    """Return the KubeProxyConfiguration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": node,
        "mode": "iptables",
        "clusterCIDR": POD_RANGE,
        # Without it the answer of a pod on the same bridge goes straight back, from an address nobody asked.
        "iptables": {"masqueradeAll": True, "syncPeriod": "30s", "minSyncPeriod": "0s"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "metricsBindAddress": f"{LOOPBACK}:{metrics_port}",
        "healthzBindAddress": f"{LOOPBACK}:{health_port}",
        "nodePortAddresses": ["primary"],
    }
