"""Where one node of a local cluster lives: its folder, its addresses, its names in the kernel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

POD_RANGE: Final = "10.244.0.0/16"
PREFIX: Final = "finetune"
"""Starts the name of every bridge and control group that a local cluster makes, so that remains are recognised."""


@dataclass(frozen=True)
class Site:
    """The place of node number `number`, from 1."""

    number: int
    directory: Path

    @property
    def name(self) -> str:
        """The node's name in the cluster."""
        return f"node-{self.number}"

    @property
    def subnet(self) -> str:
        """The addresses of its pods."""
        return f"10.244.{self.number}.0/24"

    @property
    def address(self) -> str:
        """The node's own address: the gateway of its pods, on its bridge."""
        return f"10.244.{self.number}.1"

    @property
    def bridge(self) -> str:
        """The network interface that joins its pods."""
        return f"{PREFIX}{self.number}"

    @property
    def network(self) -> str:
        """The name of its pod network."""
        return f"{PREFIX}-{self.name}"

    @property
    def cgroup(self) -> str:
        """The control group under which all its pods are."""
        return f"/{PREFIX}-{self.name}"

    @property
    def socket(self) -> Path:
        """Where its container runtime listens."""
        return self.directory / "containerd.sock"
