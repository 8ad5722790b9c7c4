import os
from pathlib import Path

import pytest

from finetune_trainer.launcher.meeting.facts import NodeFacts, gather, newest_checkpoint_bytes
from support.meetings import facts


def test_a_node_knows_its_clock_its_memory_and_its_volume(tmp_path: Path) -> None:
    known = gather(tmp_path, 2)
    assert known.host == os.uname().nodename
    assert known.output_free is not None
    assert (known.ranks, known.checkpoint) == (2, None)


def test_the_newest_complete_checkpoint_says_what_the_next_will_take(tmp_path: Path) -> None:
    for age, name, size in ((200, "step-1", 10), (100, "step-2", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard").write_bytes(b"x" * size)
        (tmp_path / name / "manifest.json").write_bytes(b"{}")
        os.utime(tmp_path / name / "manifest.json", (1e9 - age, 1e9 - age))
    (tmp_path / "step-3").mkdir()
    (tmp_path / "step-3" / "shard").write_bytes(b"x" * 1000)
    assert newest_checkpoint_bytes(tmp_path) == 22


def test_the_checkpoint_is_looked_at_only_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "step-1").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-1" / "manifest.json").write_bytes(b"{}")
    assert gather(tmp_path, 1).checkpoint == 2
    assert gather(tmp_path, 1, checkpoint=False).checkpoint is None


def test_facts_survive_the_wire() -> None:
    assert NodeFacts.from_json(facts(3, output_free=7).to_json()).output_free == 7


@pytest.mark.parametrize("told", [None, {}, {"host": 1, "time": 1.0}, {"host": "a", "time": float("nan")}])
def test_what_is_out_of_bounds_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="not the facts"):
        NodeFacts.from_json(told)


def test_a_host_name_cannot_write_to_the_terminal() -> None:
    assert NodeFacts.from_json({"host": "a\x1b[2J\nb", "time": 1.0, "ranks": -1}).host == "a?[2J?b"
