"""`finetune validate`: all mistakes at once, for people and for scripts, cheaply."""

import json
import resource
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from finetune_cli.app import app
from support.configs import manifest, training, write_yaml

THREE_MISTAKES = training(max_duration="12xx") | {
    "train_loader": {"name": "finetuning", "dataset": {"hf_nmae": "json"}},
    "optimizer": {"name": "decoupled_adamw", "lrr": 1e-3},
}


def test_every_mistake_is_named_with_its_path_and_a_suggestion(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(write_yaml(tmp_path / "bad.yaml", THREE_MISTAKES))])
    assert result.exit_code == 2
    assert "train_loader.dataset.hf_nmae: unknown key; did you mean hf_name?" in result.stderr
    assert "optimizer.lrr: unknown key; did you mean lr?" in result.stderr
    assert "max_duration: '12xx' is not a duration" in result.stderr


def test_a_valid_file_is_said_to_be_valid_and_warnings_do_not_count(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(write_yaml(tmp_path / "good.yaml", training()))])
    assert result.exit_code == 0
    assert result.stdout.endswith("good.yaml: valid\n")
    assert "warning: train_loader.dataset.hf_kwargs.data_dir" in result.stderr


def test_overrides_are_part_of_what_is_checked(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "good.yaml", training())
    result = CliRunner().invoke(app, ["validate", str(file), "optimizer.lrr=3"])
    assert result.exit_code == 2
    assert "optimizer.lrr" in result.stderr


def test_mistakes_in_a_manifest_are_found_below_spec_config(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "job.yaml", manifest(training(max_seq_len=-1)))
    result = CliRunner().invoke(app, ["validate", str(file)])
    assert result.exit_code == 2
    assert "spec.config.max_seq_len" in result.stderr


def test_json_carries_problems_warnings_and_the_verdict(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "bad.yaml", THREE_MISTAKES)
    result = CliRunner().invoke(app, ["validate", str(file), "--json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["valid"]) == (2, False)
    assert {"path": "optimizer.lrr", "message": "unknown key", "hint": "did you mean lr?"} in report["problems"]


def test_a_missing_file_is_a_mistake_like_any_other(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(tmp_path / "nothing.yaml")])
    assert result.exit_code == 2
    assert "nothing.yaml: no such file" in result.stderr


def test_neither_help_nor_validate_imports_torch_or_torchx(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "good.yaml", training())
    code = (
        "import sys; from typer.testing import CliRunner; from finetune_cli.app import app; "
        f"assert CliRunner().invoke(app, ['validate', {str(file)!r}]).exit_code == 0; "
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0; "
        "print({'torch', 'torchx', 'transformers', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_validate_takes_less_than_a_second_of_cpu(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "bad.yaml", THREE_MISTAKES)
    command = [sys.executable, "-c", "from finetune_cli.main import main; main()", "validate", str(file)]
    subprocess.run(command, capture_output=True, check=False)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1.0
