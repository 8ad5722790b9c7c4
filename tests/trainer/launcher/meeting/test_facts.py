import argparse
import json
import os
from pathlib import Path

import pytest

from finetune_trainer.checkpoint.manifest import checkpoint_name
from finetune_trainer.launcher.meeting.facts import NodeFacts, checkpoints_of, gather, newest_checkpoint_bytes
from finetune_trainer.launcher.preflight import facts_of
from finetune_trainer.run_spec import RunSpec
from support.meetings import facts
from support.training_files import minimal_config


def checkpoint_of_two_bytes(folder: Path) -> Path:
    (folder / checkpoint_name(1, 0)).mkdir(parents=True)
    (folder / checkpoint_name(1, 0) / "manifest.json").write_bytes(b"{}")
    return folder


def described(run_dir: Path, config: str) -> Path:
    """The specification of a run with this configuration."""
    (run_dir / "config.yaml").write_text(config)
    spec = RunSpec(
        config=run_dir / "config.yaml", output=run_dir, run_dir=run_dir, cache=run_dir, attempt=0, job_uid="job"
    )
    spec.save(run_dir / "spec.json")
    return run_dir / "spec.json"


def test_a_node_knows_its_clock_its_memory_and_its_volume(tmp_path: Path) -> None:
    known = gather(tmp_path, 2, tmp_path / "checkpoints")
    assert known.host == os.uname().nodename
    assert known.output_free is not None
    assert (known.ranks, known.checkpoint, known.save_free) == (2, None, None)
    assert known.room == known.output_free


def test_the_newest_complete_checkpoint_says_what_the_next_will_take(tmp_path: Path) -> None:
    damaged = f"damaged-{checkpoint_name(9, 0)}"
    for age, name, size in ((200, checkpoint_name(1, 0), 10), (100, checkpoint_name(2, 0), 20), (50, damaged, 40)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard").write_bytes(b"x" * size)
        (tmp_path / name / "manifest.json").write_bytes(b"{}")
        os.utime(tmp_path / name / "manifest.json", (1e9 - age, 1e9 - age))
    unfinished = tmp_path / checkpoint_name(3, 0)
    unfinished.mkdir()
    (unfinished / "shard").write_bytes(b"x" * 1000)
    assert newest_checkpoint_bytes(tmp_path) == 22


def test_the_checkpoint_is_looked_at_only_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = checkpoint_of_two_bytes(tmp_path / "checkpoints")
    assert gather(tmp_path, 1, folder).checkpoint == 2
    assert gather(tmp_path, 1, folder, measure=False).checkpoint is None


def test_checkpoints_are_looked_for_where_the_configuration_lets_them_go(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    folder = checkpoint_of_two_bytes(tmp_path / "saves" / "first")
    told = minimal_config() | {"save_folder": str(tmp_path / "saves" / "{run_name}"), "run_name": "first"}
    spec = described(tmp_path, json.dumps(told))
    known = facts_of(argparse.Namespace(run_dir=tmp_path, output=output, nproc_per_node=1, node_rank=0))
    assert checkpoints_of(spec, output) == folder
    assert (known.checkpoint, known.room) == (2, known.save_free)
    assert known.save_free is not None


@pytest.mark.parametrize("config", ["", "no: such key", json.dumps(minimal_config())])
def test_without_a_folder_of_their_own_they_are_in_the_output(config: str, tmp_path: Path) -> None:
    assert checkpoints_of(described(tmp_path, config), tmp_path) == tmp_path / "checkpoints"
    assert checkpoints_of(tmp_path / "nowhere", tmp_path) == tmp_path / "checkpoints"


def test_facts_survive_the_wire() -> None:
    assert NodeFacts.from_json(facts(3, output_free=7).to_json()).output_free == 7


@pytest.mark.parametrize("told", [None, {}, {"host": 1, "time": 1.0}, {"host": "a", "time": float("nan")}])
def test_what_is_out_of_bounds_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="not the facts"):
        NodeFacts.from_json(told)


def test_a_host_name_cannot_write_to_the_terminal() -> None:
    assert NodeFacts.from_json({"host": "a\x1b[2J\nb", "time": 1.0, "ranks": -1}).host == "a?[2J?b"
