"""Every end of a run: its exit code, its sentence on the terminal, and the outcome file that agrees with both."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.arc_runs import EXAMPLE, ArcRun, step_lines
from support.models import tiny_gpt2
from support.shell import BIN, quiet_environment

pytestmark = pytest.mark.distributed

DATA = "train_loader.dataset.hf_kwargs.data_files"


@pytest.fixture(scope="module")
def arc(tmp_path_factory: pytest.TempPathFactory) -> ArcRun:
    return ArcRun.create(tmp_path_factory.mktemp("outcomes"))


def ended(arc: ArcRun, name: str, *overrides: str, code: int) -> str:
    """Run to the end, require the code and a termination message that agrees, and return what was printed."""
    output = arc.root / name
    arc.finish(output, *overrides, expect=code)
    printed = output.with_suffix(".log").read_text()
    assert "Traceback" not in printed or code == 4, "only the user's own function may show where it failed"
    messages = list(output.glob("logs/attempt-0/node-*/termination.json"))
    assert all(json.loads(message.read_text())["exitCode"] == code for message in messages)
    return printed


def test_a_loss_that_is_not_finite_names_its_step_and_rows(arc: ArcRun) -> None:
    printed = ended(arc, "diverged", "optimizer.lr=1e30", "scheduler.t_warmup=0ba", code=7)
    failed = len(step_lines(arc.root / "diverged")) + 1
    assert f"of step {failed} is" in printed
    assert "its rows in the prepared dataset" in printed


def test_a_broken_line_is_named_before_anything_trains(arc: ArcRun) -> None:
    lines = (EXAMPLE / "train.jsonl").read_text().splitlines()
    lines[56] = lines[56][:20]
    (arc.root / "broken.jsonl").write_text("\n".join(lines) + "\n")
    printed = ended(arc, "broken", f"{DATA}={arc.root / 'broken.jsonl'}", code=3)
    assert "broken.jsonl" in printed
    assert "line 57" in printed
    assert not (arc.root / "broken" / "attempts").exists()


def test_a_preprocessing_function_that_raises_shows_the_users_own_line(arc: ArcRun) -> None:
    (arc.root / "failing.py").write_text(
        "def convert(record):\n"
        "    if 'magnet' in str(record):\n"
        "        raise KeyError('no such field')\n"
        "    return {'prompt': record['query'], 'response': record['choices'][record['gold']]}\n"
    )
    printed = ended(arc, "raising", "train_loader.dataset.preprocessing_fn=failing:convert", code=4)
    assert "no such field" in printed
    assert "failing.py" in printed


def test_a_missing_model_is_said_to_be_missing(arc: ArcRun) -> None:
    printed = ended(arc, "no-model", "model.pretrained_model_name_or_path=/nowhere/model", code=5)
    assert "/nowhere/model" in printed
    assert "no such directory" in printed


def test_positions_beyond_the_models_are_refused(arc: ArcRun) -> None:
    assert "max_seq_len" in ended(arc, "too-long", "max_seq_len=4096", code=2)


def test_a_batch_that_ranks_cannot_share_is_refused_at_once(arc: ArcRun) -> None:
    printed = ended(arc, "indivisible", "global_train_batch_size=7", "--nproc", "2", code=2)
    assert "7 rows cannot be shared equally by 2 ranks" in printed


def test_a_disk_that_fills_up_while_saving_ends_retryable_and_the_run_continues_with_space(arc: ArcRun) -> None:
    probe = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False, capture_output=True)
    if shutil.which("unshare") is None or probe.returncode:
        pytest.skip("a small file system needs user namespaces (unshare --map-root-user --mount)")
    output = arc.root / "disk" / "output"
    output.mkdir(parents=True)
    script = (
        f"mount -t tmpfs -o size=1700k tmpfs {output} && {BIN / 'finetune'} run {arc.file} --output {output} "
        f"save_interval=1ba; code=$?; ls {output}/checkpoints; cp {output}/metrics.jsonl {output}.jsonl; exit $code"
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=arc.root,
        env=quiet_environment(arc.root / "cache"),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 75, done.stdout + done.stderr
    assert "disk is full" in done.stdout
    # What could not be written is gone again, so that the space is not lost on half a checkpoint.
    kept = [line for line in done.stdout.splitlines() if line.startswith("step-")]
    assert len(kept) == len(Path(f"{output}.jsonl").read_text().splitlines()) - 1


def test_an_output_that_is_not_empty_is_refused_with_what_to_do(arc: ArcRun) -> None:
    arc.finish(arc.root / "full", "max_duration=1ba")
    arc.finish(arc.root / "full", "max_duration=1ba", expect=2)
    assert "--resume" in (arc.root / "full.log").read_text()


def test_a_run_killed_before_any_checkpoint_starts_over_when_resumed(arc: ArcRun, tmp_path: Path) -> None:
    output = arc.root / "early"
    (output / "attempts").mkdir(parents=True)
    (output / "attempts" / "0.json").write_text(json.dumps({"attempt": 0, "uid": "mine", "base": None}))
    arc.finish(output, "max_duration=2ba", "--resume")
    assert [line["step"] for line in step_lines(output)] == [1, 2]
    assert json.loads((output / "run.json").read_text())["job_uid"] == "mine"


def test_a_checkpoint_of_another_tokenizers_data_is_refused(arc: ArcRun) -> None:
    other = tiny_gpt2(arc.root / "bigger", width=64)
    arc.finish(arc.root / "swapped", "max_duration=2ba")
    overrides = [f"model.pretrained_model_name_or_path={other}", "max_duration=4ba", "--resume"]
    arc.finish(arc.root / "swapped", *overrides, expect=2)
    assert "another model" in (arc.root / "swapped.log").read_text()
