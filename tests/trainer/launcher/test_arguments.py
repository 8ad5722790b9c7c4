import subprocess
import sys
from pathlib import Path

import pytest

from finetune_trainer.launcher.arguments import (
    CPU_SETTINGS,
    NodeLaunch,
    agent_command,
    agent_environment,
    parse_arguments,
    prepare_command,
)
from finetune_trainer.launcher.devices import available_cpus

REQUIRED = "--config c --output o --run-dir r --cache d --master-port 1 --job-uid u"


def launch(arguments: str = "") -> NodeLaunch:
    return parse_arguments(f"{REQUIRED} {arguments}".split())


def test_the_defaults_are_one_node_with_one_rank_that_prepares() -> None:
    plain = launch()
    assert (plain.nnodes, plain.node_rank, plain.nproc_per_node, plain.attempt) == (1, 0, 1, 0)
    assert (plain.prepares, plain.grace, plain.ranks) == (True, 30.0, range(1))


@pytest.mark.parametrize(("arguments", "prepares"), [("--node-rank 1", False), ("--prepare done", False)])
def test_only_node_0_prepares_and_only_inline(arguments: str, prepares: bool) -> None:
    assert launch(arguments).prepares is prepares


def test_the_ranks_learn_what_the_launcher_was_told() -> None:
    spec = launch("--attempt 3 --resume-from older --code m --progress-port 8000").spec()
    assert (spec.attempt, spec.resume_from, spec.code_dir, spec.progress_port) == (3, "older", Path("m"), 8000)
    assert (spec.config, spec.output, spec.run_dir, spec.cache) == tuple(map(Path, "cord"))


def test_times_for_phases_come_from_the_command_line_or_from_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (launch().step_timeout, launch().phase_timeouts) == (None, {})
    given = launch("--step-timeout 2.5 --phase-timeouts save=60,load=inf")
    assert (given.step_timeout, given.phase_timeouts) == (2.5, {"save": 60.0, "load": float("inf")})
    monkeypatch.setenv("FINETUNE_PHASE_TIMEOUTS", "export=7200")
    assert launch().phase_timeouts == {"export": 7200.0}


@pytest.mark.parametrize("arguments", ["--step-timeout 0", "--step-timeout -1", "--phase-timeouts nap=1"])
def test_a_time_that_is_none_is_refused(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        launch(arguments)
    assert arguments.split()[1] in capsys.readouterr().err


def test_the_preparation_gets_the_users_modules_only_when_there_are_some() -> None:
    assert "--code" not in prepare_command(launch())
    assert prepare_command(launch("--code m"))[-2:] == ["--code", "m"]


def test_every_attempt_has_a_rendezvous_of_its_own() -> None:
    assert "u-2" in agent_command(launch("--attempt 2"))


def test_the_ranks_share_the_cpus_unless_the_user_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert agent_environment(launch())["OMP_NUM_THREADS"] == str(available_cpus())
    assert agent_environment(launch("--nproc-per-node 64"))["OMP_NUM_THREADS"] == str(max(1, available_cpus() // 64))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert agent_environment(launch())["OMP_NUM_THREADS"] == "5"


def test_the_launcher_itself_never_imports_torch() -> None:
    code = "import sys, finetune_trainer.launcher.__main__; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_ranks_on_a_cpu_keep_freed_memory_and_sleep_soon_and_ranks_on_a_gpu_do_not() -> None:
    assert agent_environment(launch(), gpus=0).items() >= CPU_SETTINGS.items()
    assert not agent_environment(launch(), gpus=1).keys() & CPU_SETTINGS.keys()


def test_an_allocator_setting_of_the_user_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    assert agent_environment(launch(), gpus=0)["MALLOC_MMAP_MAX_"] == "65536"
