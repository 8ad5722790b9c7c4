"""What happens to a test whose cluster cannot be had: it is skipped, or fails where clusters are required."""

import contextlib
import os
from collections.abc import Iterator
from typing import Final

import pytest

from cluster.binaries import ToolMissing

SWITCH: Final = "REQUIRE_CLUSTER"


@contextlib.contextmanager
def cluster_required() -> Iterator[None]:
    """Turn a missing tool into a skip that says why, or into a failure when REQUIRE_CLUSTER is set to 1."""
    try:
        yield
    except ToolMissing as error:
        if os.environ.get(SWITCH) == "1":
            pytest.fail(f"{SWITCH}=1, and a cluster cannot be had: {error}", pytrace=False)
        pytest.skip(str(error))
