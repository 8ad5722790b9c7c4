"""A real node on this machine: containerd with the images that tests built, and a kubelet."""

import contextlib
import http.client
import json
from typing import Final, Self

from cluster.binaries import find
from cluster.components import Command
from cluster.control_plane import ControlPlane
from cluster.images import store
from cluster.images.image import SANDBOX
from cluster.local import cgroups, host, kubelet, remains, runtime
from cluster.local.site import Site
from cluster.processes import Process

_NODES: Final = "/api/v1/nodes"


class Node:
    """A node that has joined `control_plane` inside of a `with` block; what it leaves, `claim` removes."""

    def __init__(self, site: Site, control_plane: ControlPlane, dns: str) -> None:
        self.site, self.control_plane, self.dns = site, control_plane, dns
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.site.directory.mkdir()
        store.lend(self.site.directory / "containerd")
        cgroups.create(self.site)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        return self.site.name

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._kubelet.alive

    def start(self) -> None:
        """Start the runtime and the kubelet: the node boots."""
        self._start_runtime()
        self._start_kubelet()

    def wait_ready(self, seconds: float = 90.0) -> None:
        """Wait until the API server says that the node is ready; raises ProcessFailed."""
        self._kubelet.wait_ready(self.is_ready, seconds)

    def is_ready(self) -> bool:
        """Whether the API server takes the node for ready."""
        answer = self.control_plane.rest().send("GET", f"{_NODES}/{self.name}")
        if answer.code != http.client.OK:
            return False
        conditions = answer.body["status"].get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def stop_abruptly(self) -> None:
        """Kill the kubelet, the runtime and every pod at once: what a power cut looks like to the cluster."""
        self._stack.close()
        remains.end_processes(self.site.directory, self.site.cgroup.lstrip("/"))

    def _start_runtime(self) -> None:
        config = runtime.write(self.site, SANDBOX, host.plugins())
        self.site.socket.unlink(missing_ok=True)
        command: Command = [host.program("containerd"), "--config", config]
        process = Process(
            f"containerd of {self.name}", command, self.site.directory / "containerd.log", host.environment()
        )
        self._stack.enter_context(process).wait_ready(self.site.socket.exists)

    def _start_kubelet(self) -> None:
        folder = self.site.directory
        user = self.control_plane.user_kubeconfig(f"system:node:{self.name}", ["system:nodes"])
        config = folder / "kubelet.json"
        content = kubelet.config(self.site, self.control_plane.files.ca, self.dns)
        config.write_text(json.dumps(content, indent=2), encoding="utf-8")
        command = kubelet.command(find("kubelet"), self.site, config, user)
        self._kubelet = Process(f"kubelet of {self.name}", command, folder / "kubelet.log", host.environment())
        self._stack.enter_context(self._kubelet)
