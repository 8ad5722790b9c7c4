from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from support.launching import Launched, launch


class Start(Protocol):
    def __call__(self, ranks: Mapping[int, Mapping[str, Any]], **options: Any) -> Launched: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts launchers in one temporary directory; whatever is left of them is killed after the test."""
    with ExitStack() as stack:
        yield lambda ranks, **options: stack.enter_context(launch(tmp_path, ranks, **options))
