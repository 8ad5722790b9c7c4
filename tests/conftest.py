"""What holds for every test: few threads, no model hub, and which tests run beside which."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

# Before torch is imported anywhere; two test processes with a thread for each core would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# How long an example takes says how busy the machine is, and nothing about what is tested.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time: a change fails by what it does. `--hypothesis-profile exploring` looks for others.
settings.register_profile("repeating", settings.get_profile("exploring"), derandomize=True)
settings.load_profile("repeating")

_TESTS = Path(__file__).parent
_RINGS = ("e2e", "integration")
_LONGEST_FIRST = ("e2e", "distributed", "examples", "integration")
_TOLD = "told"
_BUILD_SECONDS = 2400
"""The first test on a new machine may have to build Kubernetes."""


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes a line that is shown at the end of the run, also when the test passed and ran in another process."""
    return lambda line: request.node.user_properties.append((_TOLD, line))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests told."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        lines = [text for name, text in getattr(report, "user_properties", ()) if name == _TOLD]
        if lines and getattr(report, "when", "") == "call":
            terminalreporter.write_sep("-", report.nodeid.removeprefix("tests/"))
            terminalreporter.write("".join(f"{line}\n" for line in lines))


@pytest.hookimpl(tryfirst=True)  # pytest reads the marks for -m in its own hook of this name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the rings that need a cluster, and start the folders first that take longest."""
    for item in items:
        folder = _folder(item)
        if folder in _RINGS:
            item.add_marker(folder)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_BUILD_SECONDS))
    turns = {folder: turn for turn, folder in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: turns.get(_folder(item), len(turns)))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadFileScheduling | None":
    """Under `--dist loadfile`, keep not only each file but all of e2e in one process: it has one cluster."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileAndCluster(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "e2e" if file.startswith("tests/e2e/") else file

    return ByFileAndCluster(config, log)
