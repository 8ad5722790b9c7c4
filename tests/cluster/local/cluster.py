"""A whole Kubernetes cluster on this machine: a control plane, real nodes, names and Services."""

import contextlib
import dataclasses
from pathlib import Path, PurePosixPath
from typing import Final, Self

from cluster import cache
from cluster.control_plane import ControlPlane, Parts
from cluster.images import store
from cluster.images.image import OPERATOR, TRAINER
from cluster.local import claim, host, network, services
from cluster.local.node import Node
from cluster.local.site import Site
from cluster.volumes import VolumePool

_PATIENCE: Final = 900.0
"""Seconds that tests wait for the cluster of other tests on this machine."""


class LocalCluster:
    """The cluster, inside of a `with` block; it needs root on Linux, and raises ToolMissing where it cannot be."""

    operator_image = OPERATOR
    trainer_image = TRAINER

    def __init__(self, nodes: int = 1, parts: Parts | None = None, patience: float = _PATIENCE) -> None:
        self.directory = cache.root() / "cluster"
        self.sites = [Site(number, self.directory / f"node-{number}") for number in range(1, nodes + 1)]
        self.nodes: list[Node] = []
        folder = self.directory / "volumes"
        self.volumes = VolumePool(folder, PurePosixPath(folder))
        self._parts = dataclasses.replace(
            parts or Parts(), controllers=True, scheduler=True, advertise=self.sites[0].address
        )
        self._patience = patience
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        host.check()
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def kubeconfig(self) -> Path:
        """Of the administrator."""
        return self.control_plane.admin

    @property
    def address(self) -> str:
        """Where the API server and the name server listen for pods: the first node's bridge."""
        return self.sites[0].address

    def claimed_directory(self, namespace: str, claim: str) -> Path:
        """Return where tests see the files of a bound claim."""
        return self.volumes.directory(self.kubeconfig, namespace, claim)

    def _start(self) -> None:
        self._stack.enter_context(claim.claimed(self.directory, self._patience))
        store.ensure()
        network.create(self.sites)
        self.control_plane = self._stack.enter_context(ControlPlane(self.directory / "control-plane", self._parts))
        for site in self.sites:
            self.nodes.append(self._stack.enter_context(Node(site, self.control_plane, self.address)))
        self.volumes.create(self.kubeconfig)
        for node in self.nodes:
            node.wait_ready()
        self._stack.enter_context(services.names(self.directory, self.kubeconfig, self.address))
        self._stack.enter_context(services.addresses(self.directory, self.kubeconfig, self.nodes[0].name))
