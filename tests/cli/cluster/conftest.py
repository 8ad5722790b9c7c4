from collections.abc import Iterator
from pathlib import Path

import pytest

from support.log_server import ThreadedCluster


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedCluster]:
    """A cluster that KUBECONFIG leads to."""
    with ThreadedCluster(tmp_path).running() as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig))
        yield running
