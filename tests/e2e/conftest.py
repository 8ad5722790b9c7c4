"""One cluster with real pods for all tests of this folder, the operator installed in it from the images just built."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.provider import Cluster
from cluster.provider import cluster as chosen_cluster
from cluster.required import cluster_required
from support.example_job import make_model
from support.helm_release import Release
from support.workspace import Workspace

_numbers = itertools.count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster of two nodes that have the images."""
    with cluster_required():
        chosen = chosen_cluster(nodes=2)
        chosen.__enter__()
    try:
        yield chosen
    finally:
        chosen.__exit__(None, None, None)


@pytest.fixture(scope="session")
def release(cluster: Cluster) -> Release:
    """The operator's release, installed."""
    release = Release(cluster.kubeconfig, cluster.operator_image, cluster.trainer_image)
    release.upgrade()
    return release


@pytest.fixture
def workspace(cluster: Cluster, release: Release) -> Iterator[Workspace]:
    """A namespace of its own for a test, and the operator at work."""
    space = Workspace(cluster.kubeconfig, f"e2e-{next(_numbers)}").create()
    yield space
    space.delete()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's model, small."""
    return make_model(tmp_path_factory.mktemp("e2e") / "model")
