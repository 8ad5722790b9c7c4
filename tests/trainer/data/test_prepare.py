import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_api.outcomes import Outcome
from finetune_trainer.checkpoint.claims import Claim, claim
from finetune_trainer.data import load_prepared
from finetune_trainer.prepare import main
from finetune_trainer.run_dir import PREPARE, RunDir

MakeConfig = Callable[..., TrainingConfig]
WriteRows = Callable[..., Path]
SomeRows = Callable[[int], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _signal_handlers() -> Any:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def arguments(tmp_path: Path, config: TrainingConfig) -> list[str]:
    (tmp_path / "config.json").write_text(json.dumps(config.resolved()))
    options = {"config": "config.json", "cache": "cache", "run-dir": "run", "code": "code"}
    return [text for name, value in options.items() for text in (f"--{name}", str(tmp_path / value))]


def progress(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "run/progress.jsonl").read_text().splitlines()]


def test_success_leaves_where_the_data_is_and_says_what_was_dropped(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows([*some_rows(3), {"prompt": "", "response": "r"}])
    assert main(arguments(tmp_path, make_config())) == 0
    run_dir = RunDir(tmp_path / "run")
    prepared = run_dir.read_prepared()
    assert prepared is not None
    assert prepared.directory == tmp_path / "cache/prepared" / prepared.sha256
    outcome = run_dir.read_outcome(PREPARE)
    assert outcome is not None
    assert outcome.outcome is Outcome.SUCCEEDED
    events = progress(tmp_path)
    assert events[0]["phase"] == "prepare"
    assert {"event": "prepare", "split": "train", "done": 4, "total": 4} in events
    assert "dropped 1 empty prompt (first: row 3" in events[-1]["text"]


def test_a_mistake_leaves_its_outcome_and_exit_code(
    tmp_path: Path,
    make_config: MakeConfig,
    write_rows: WriteRows,
    some_rows: SomeRows,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_rows(some_rows(3))
    (tmp_path / "code").mkdir()
    (tmp_path / "code/rows.py").write_text("def pair(r):\n    raise ValueError('no')\n")
    assert main(arguments(tmp_path, make_config(preprocessing_fn="rows:pair"))) == 4
    outcome = RunDir(tmp_path / "run").read_outcome(PREPARE)
    assert outcome is not None
    assert (outcome.outcome, outcome.exit_code) == (Outcome.PREPROCESSING_FAILED, 4)
    assert "row 0" in outcome.message
    assert outcome.traceback is not None
    assert "finetune_trainer" not in outcome.traceback
    assert "finetune_trainer" not in capsys.readouterr().err


@pytest.mark.parametrize(("content", "code"), [("{}", 2), ("model: [", 2)])
def test_a_configuration_with_mistakes_is_2(tmp_path: Path, content: str, code: int) -> None:
    (tmp_path / "c.yaml").write_text(content)
    options = ["--config", str(tmp_path / "c.yaml"), "--cache", str(tmp_path), "--run-dir", str(tmp_path / "run")]
    assert main(options) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_at_once_with_its_outcome_and_nothing_left(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows, number: int, code: int
) -> None:
    write_rows(some_rows(3))
    (tmp_path / "code").mkdir()
    source = f"import os, time\n\ndef pair(r):\n    os.kill(os.getpid(), {int(number)})\n    time.sleep(600)\n"
    (tmp_path / "code/rows.py").write_text(source)
    began = time.monotonic()
    assert main(arguments(tmp_path, make_config(preprocessing_fn="rows:pair"))) == code
    assert time.monotonic() - began < 120
    outcome = RunDir(tmp_path / "run").read_outcome(PREPARE)
    assert outcome is not None
    assert outcome.exit_code == code
    assert list((tmp_path / "cache/prepared").iterdir()) == []


def test_as_a_program_it_leaves_with_the_code_of_its_outcome(tmp_path: Path, make_config: MakeConfig) -> None:
    command = [sys.executable, "-m", "finetune_trainer.prepare", *arguments(tmp_path, make_config())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "80"})
    assert done.returncode == 3
    assert done.stderr.startswith("DatasetInvalid: hf_kwargs.data_dir: ")
    assert "Traceback" not in done.stderr


def in_pod(tmp_path: Path, uid: str = "me") -> list[str]:
    options = {"output": str(tmp_path / "output"), "job-uid": uid, "termination-log": str(tmp_path / "log")}
    return [text for name, value in options.items() for text in (f"--{name}", value)]


@pytest.fixture
def _mask() -> Any:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_mask")
def test_in_a_pod_it_tells_of_the_data_and_announces_it_to_all_attempts(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows([*some_rows(3), {"prompt": "", "response": "r"}])
    given = [*arguments(tmp_path, make_config()), *in_pod(tmp_path)]
    assert main(given) == 0
    words = json.loads((tmp_path / "log").read_text())
    assert words["outcome"] == "Succeeded"
    prepared = load_prepared(tmp_path / "cache/prepared" / words["dataset"]["sha256"])
    split = prepared.splits["train"]
    assert words["dataset"] == {"rows": 3, "tokens": split.tokens, "dropped": 1, "sha256": prepared.sha256}
    record = json.loads((tmp_path / "output/prepared.json").read_text())
    assert (record["directory"], record["jobUid"]) == (str(prepared.directory), "me")
    assert split.path.stat().st_mode & 0o777 == 0o664
    before = split.path.stat().st_mtime_ns
    assert main(given) == 0
    assert json.loads((tmp_path / "log").read_text()) == words
    assert split.path.stat().st_mtime_ns == before


@pytest.mark.usefixtures("_mask")
def test_a_broken_record_is_told_with_its_line_and_announces_nothing(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    file = write_rows(some_rows(60))
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:56], "{broken", *lines[57:]]) + "\n")
    assert main([*arguments(tmp_path, make_config()), *in_pod(tmp_path)]) == 3
    words = json.loads((tmp_path / "log").read_text())
    assert words["outcome"] == "DatasetInvalid"
    assert "57" in words["message"]
    assert "dataset" not in words
    assert not (tmp_path / "output/prepared.json").exists()


@pytest.mark.usefixtures("_mask")
def test_the_output_of_another_job_is_refused_before_its_data_is_looked_at(
    tmp_path: Path, make_config: MakeConfig
) -> None:
    claim(tmp_path / "output", Claim(0, "other", None))
    assert main([*arguments(tmp_path, make_config()), *in_pod(tmp_path)]) == 2
    assert "uid other" in json.loads((tmp_path / "log").read_text())["message"]


@pytest.mark.usefixtures("_mask")
def test_the_data_of_a_finished_job_is_not_prepared_again(tmp_path: Path, make_config: MakeConfig) -> None:
    claim(tmp_path / "output", Claim(0, "me", None))
    summary = {"job_uid": "me", "attempt": 0, "outcome": {"outcome": "Succeeded", "step": 4}}
    (tmp_path / "output/run.json").write_text(json.dumps(summary))
    assert main([*arguments(tmp_path, make_config()), *in_pod(tmp_path)]) == 0
    assert json.loads((tmp_path / "log").read_text())["reason"] == "AlreadyComplete"
