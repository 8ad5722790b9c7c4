import subprocess
import sys
from pathlib import Path

import pytest

from cluster import cache
from support.launching import TESTS

MAKER = """
import sys, time
from pathlib import Path
from cluster import cache

def make(path):
    with Path(sys.argv[2]).open("a") as log:
        log.write("made ")
    path.write_text("half")
    time.sleep(0.5)
    path.write_text("whole")

kept = cache.keep(Path(sys.argv[1]), make, print)
assert kept.read_text() == "whole"
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_TEST_CACHE", str(tmp_path))


def refuse(path: Path) -> None:
    raise AssertionError(f"{path} was there already")


def fail_midway(path: Path) -> None:
    path.write_text("half", encoding="utf-8")
    raise OSError("disk full")


def test_what_is_kept_is_never_made_again(tmp_path: Path) -> None:
    path = tmp_path / "bin" / "tool"
    cache.keep(path, lambda target: target.touch(), print)
    assert cache.keep(path, refuse, print) == path


def test_what_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bin" / "tool"
    with pytest.raises(OSError, match="disk full"):
        cache.keep(path, fail_midway, print)
    assert list(path.parent.iterdir()) == []


def test_processes_at_once_make_it_once_and_see_it_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKER, str(tmp_path / "bin" / "tool"), str(tmp_path / "log")]
    environment = {"PYTHONPATH": str(TESTS), "FINETUNE_TEST_CACHE": str(tmp_path)}
    makers = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [maker.wait(300) for maker in makers] == [0, 0]
    assert (tmp_path / "log").read_text(encoding="utf-8") == "made "


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINETUNE_TEST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache.root() == Path("/caches/finetune-operator")
