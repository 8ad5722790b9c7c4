"""Waiting for what a cluster will do, with a bound."""

import time
from collections.abc import Callable
from typing import Final

_PAUSE: Final = 0.05


def wait_until(
    condition: Callable[[], bool], state: Callable[[], object] = lambda: "nothing", seconds: float = 120.0
) -> float:
    """Wait until `condition` holds and return the seconds it took; AssertionError with `state` when it never does."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"after {seconds:.0f} s there is still {state()}"
        time.sleep(_PAUSE)
    return time.monotonic() - began
