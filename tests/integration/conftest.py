"""One control plane of each kind for all tests of a process, started when the first test asks for it."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane, Parts
from cluster.required import cluster_required
from cluster.simulated_nodes import SimulatedKubelet

_CRDS = Path(__file__).parents[2] / "crds"
_SIMULATED = Parts(controllers=True, scheduler=True, kubelet=SimulatedKubelet())
_numbers = itertools.count()


def _control_plane(directory: Path, parts: Parts) -> Iterator[ControlPlane]:
    with cluster_required():
        plane = ControlPlane(directory, parts).__enter__()
    try:
        plane.install(_CRDS)
        yield plane
    finally:
        plane.__exit__()


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and an API server that knows FinetuneJobs; nothing acts on what is created there."""
    yield from _control_plane(tmp_path_factory.mktemp("api-server"), Parts())


@pytest.fixture(scope="session")
def simulated_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A whole control plane whose nodes are simulated; tests bring the nodes."""
    yield from _control_plane(tmp_path_factory.mktemp("simulated-cluster"), _SIMULATED)


@pytest.fixture
def new_namespace() -> Callable[[ControlPlane], str]:
    """Makes a namespace that no other test uses, and returns its name."""

    def make(plane: ControlPlane) -> str:
        name = f"test-{next(_numbers)}"
        plane.rest().send("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).accepted()
        return name

    return make
