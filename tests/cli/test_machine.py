import socket
from pathlib import Path

import pytest

from finetune_cli.machine import free_port, visible_gpus


@pytest.mark.parametrize(("chosen", "count"), [("", 0), ("0", 1), ("0,2", 2), ("-1", 0), ("GPU-ab,GPU-cd", 2)])
def test_a_choice_of_devices_is_counted(tmp_path: Path, chosen: str, count: int) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": chosen}, tmp_path) == count


def test_without_a_choice_the_devices_are_counted(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_gpus({}, tmp_path) == 2


def test_a_free_port_can_be_listened_on() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))


def test_a_free_port_lies_below_those_of_outgoing_connections() -> None:
    assert all(port < 32768 for port in (free_port() for _ in range(20)))
