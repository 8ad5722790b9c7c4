"""A world of one, which needs no process group."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from finetune_trainer.heartbeat import Heartbeat, HeartbeatFile, read_beat
from finetune_trainer.train.world import World, join_world


@pytest.fixture
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_launcher")
def test_without_a_launcher_there_is_one_rank_and_no_process_group() -> None:
    with join_world(5.0, Heartbeat()) as world:
        assert (world.rank, world.size, world.is_main, world.control) == (0, 1, True, None)
        assert not torch.distributed.is_initialized()


def test_alone_every_agreement_is_with_oneself() -> None:
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    assert world.sum([1.5, 2.0]) == [1.5, 2.0]
    assert world.any(2) == 2
    assert world.broadcast({"a": 1}) == {"a": 1}
    assert world.gather("mine") == ["mine"]
    assert world.describe_device() == "cpu"


def test_whatever_all_ranks_do_together_is_a_point_of_the_common_program(tmp_path: Path) -> None:
    heart = HeartbeatFile(tmp_path / "heart")
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"), heart=heart)
    passed = []
    together: tuple[Callable[[], object], ...] = (
        lambda: world.sum([1.0]),
        lambda: world.any(1),
        lambda: world.broadcast(1),
        lambda: world.gather(1),
    )
    for collective in together:
        collective()
        read = read_beat(tmp_path / "heart")
        passed.append(read.beats if read else None)
    assert passed == [1, 2, 3, 4]


def test_with_every_agreement_the_ranks_hear_of_the_longest_step() -> None:
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    world.heart.measured_step = 30.5
    assert (world.any(0), world.heart.longest_step) == (0, 30.5)


def test_only_rank_zero_is_the_main_one() -> None:
    assert not World(rank=1, size=2, local_rank=1, device=torch.device("cpu")).is_main
