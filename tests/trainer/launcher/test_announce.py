"""Data that was prepared before an attempt: there at once, there soon, or never."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.launcher.announce import announce, read_announced, require_prepared
from finetune_trainer.launcher.arguments import NodeLaunch, parse_arguments
from finetune_trainer.run_dir import Prepared


@pytest.fixture
def launch(tmp_path: Path) -> NodeLaunch:
    options = {"config": "c", "output": "out", "run-dir": "run", "cache": "cache"}
    paths = [text for name, value in options.items() for text in (f"--{name}", str(tmp_path / value))]
    return parse_arguments([*paths, "--master-port", "1", "--job-uid", "me", "--prepare", "done"])


def prepare(launch: NodeLaunch, job_uid: str = "me") -> Path:
    directory = launch.output / "prepared" / "abc"
    directory.mkdir(parents=True)
    (directory / "prepared.json").write_text(json.dumps({"sha256": "abc", "splits": {}}))
    announce(launch.output, Prepared(directory, "abc"), job_uid=job_uid)
    return directory


def require(launch: NodeLaunch, seconds: float = 0.0) -> None:
    require_prepared(launch, stopped=lambda: False, seconds=seconds)


def test_data_that_is_there_lets_the_attempt_begin(launch: NodeLaunch) -> None:
    prepare(launch)
    require(launch)
    assert read_announced(launch.output) is not None


def test_data_that_a_slow_volume_shows_late_is_waited_for(launch: NodeLaunch) -> None:
    threading.Timer(0.3, prepare, [launch]).start()
    require(launch, seconds=120.0)


def test_a_missing_announcement_is_told_instead_of_waited_for(launch: NodeLaunch) -> None:
    with pytest.raises(Retryable, match=r"prepared.json is missing.*Is the output volume the one"):
        require(launch)


def test_data_that_is_gone_is_named(launch: NodeLaunch) -> None:
    shutil.rmtree(prepare(launch))
    with pytest.raises(Retryable, match=r"prepared/abc, and no prepared data is there"):
        require(launch)


def test_data_of_another_job_is_not_trained_on(launch: NodeLaunch) -> None:
    prepare(launch, "other")
    with pytest.raises(ConfigInvalid, match=r"the data of another job \(uid other\)"):
        require(launch)


def test_a_request_to_leave_ends_the_wait(launch: NodeLaunch) -> None:
    began = time.monotonic()
    require_prepared(launch, stopped=lambda: True, seconds=600.0)
    assert time.monotonic() - began < 60
