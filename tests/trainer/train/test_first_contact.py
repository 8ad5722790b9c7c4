"""The first all-reduce: it goes over the real backend, and a node that does not take part is named in time."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from finetune_trainer.train.first_contact import Place, _within, explained, patience_for
from support.ports import free_port

PLACE = Place(rank=0, size=4, ranks_per_node=2)
TIMED_OUT = "RuntimeError: Timed out waiting 20000ms for send operation to complete"

CONTACT = """
import datetime, os, sys, time, torch
import torch.distributed as dist
from finetune_api.errors import PreflightFailed
from finetune_trainer.train import first_contact
if os.environ.get("FROZEN"):
    first_contact._within = lambda seconds, work: time.sleep(600)
try:
    patience = float(os.environ["PATIENCE"])
    rate = first_contact.make_contact("gloo", torch.device("cpu"), datetime.timedelta(seconds=120), patience)
    dist.barrier()
    print("rate", rate, flush=True)
except PreflightFailed as error:
    print("suspects", error.suspects, error, flush=True)
sys.stdin.read()  # rank 0 keeps the store for as long as the others may ask
os._exit(0)
"""


def host(rank: int) -> str:
    return f"job-0-{rank // 2}"


def test_who_says_nothing_is_named_before_who_failed() -> None:
    told = {0: (1, TIMED_OUT), 1: (2, TIMED_OUT), 2: (3, TIMED_OUT)}
    error = explained(told, host, PLACE)
    assert error.suspects == [1]
    assert "rank 3 on node 1 (job-0-1) says nothing" in str(error)


def test_of_those_who_failed_the_first_is_named() -> None:
    told = {
        0: (3, "connection closed by peer"),
        1: (2, "closed"),
        2: (1, "Unable to find address for: eth9"),
        3: (0, ""),
    }
    error = explained(told, host, PLACE)
    assert error.suspects == [1]
    assert "rank 2 on node 1 (job-0-1) failed first: Unable to find address for: eth9" in str(error)


def test_ranks_that_all_waited_in_vain_accuse_nobody() -> None:
    error = explained({rank: (rank + 1, TIMED_OUT) for rank in range(4)}, host, PLACE)
    assert error.suspects == []


def test_work_that_hangs_is_left_behind() -> None:
    over = threading.Event()
    assert _within(0.1, lambda: _wait(over)) == "it was not over within 0.1 s"
    over.set()


def _wait(over: threading.Event) -> None:
    over.wait(600)


def test_gpus_get_more_time_for_their_first_contact_and_more_with_every_rank() -> None:
    assert patience_for(torch.device("cpu"), 64) == 20
    assert [patience_for(torch.device("cuda"), size) for size in (2, 64)] == [61, 92]


def test_torchruns_environment_tells_where_a_rank_is() -> None:
    place = Place.of_environment({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"})
    assert [place.node_of(rank) for rank in (3, 4, place.rank)] == [0, 1, 1]


@pytest.mark.distributed
def test_two_ranks_find_their_bandwidth(tmp_path: Path) -> None:
    zero, one = _ranks({}, patience=60)
    assert float(zero.split()[1]) > 0
    assert float(one.split()[1]) > 0


@pytest.mark.distributed
def test_a_rank_with_the_wrong_interface_is_named_on_all_nodes() -> None:
    zero, one = _ranks({1: {"GLOO_SOCKET_IFNAME": "none7"}}, patience=8)
    for said in (zero, one):
        assert said.startswith("suspects [1]")
        assert "Unable to find address for: none7" in said


@pytest.mark.distributed
def test_a_rank_that_freezes_is_named_by_the_others() -> None:
    (zero,) = _ranks({1: {"FROZEN": "1"}}, patience=3, heard=1)
    assert zero.startswith("suspects [1]")
    assert "rank 1 on node 1" in zero
    assert "says nothing" in zero


def _ranks(special: dict[int, dict[str, str]], *, patience: float, heard: int = 2) -> list[str]:
    """What each of two ranks, on nodes of their own, has to say; only the first `heard` are waited for."""
    shared = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "1",
        "OMP_NUM_THREADS": "1",
        "PATIENCE": str(patience),
    }
    command, pipe = [sys.executable, "-c", CONTACT], subprocess.PIPE
    processes = [
        subprocess.Popen(command, env={**shared, "RANK": str(n), **special.get(n, {})}, stdin=pipe, stdout=pipe)
        for n in range(2)
    ]
    try:
        return [process.stdout.readline().decode().strip() for process in processes[:heard] if process.stdout]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
