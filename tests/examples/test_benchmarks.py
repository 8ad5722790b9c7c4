import json
import re
import sys
from pathlib import Path

import pytest

from cluster.binaries import find
from cluster.required import cluster_required
from support.shell import ROOT, run

SCRIPTS = (
    ("trainer.py", "Hugging Face's Trainer"),
    ("startup.py", "Hugging Face's Trainer"),
    ("operator.py", "Kubeflow Trainer"),
    ("recovery.py", "Kubeflow Trainer"),
)
_MAY_BUILD_SECONDS = 2400
SMALL = ("--layers", "1", "--width", "64")


def _benchmark(script: str, *arguments: str | Path, cache: Path, timeout: float = 550) -> str:
    command = [sys.executable, f"benchmarks/{script}", *map(str, arguments)]
    done = run(command, cwd=ROOT, cache=cache, timeout=timeout)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize(("script", "peer"), SCRIPTS)
def test_the_help_says_what_is_measured_and_how_to_look_quickly(script: str, peer: str, tmp_path: Path) -> None:
    text = _benchmark(script, "--help", cache=tmp_path)
    assert peer in text
    assert f"python benchmarks/{script}" in text


@pytest.mark.distributed
def test_all_candidates_compute_the_same_losses(tmp_path: Path) -> None:
    short = ("--max-seq-len", "128", "--steps", "2", "--warmup", "0", "--threads", "1", "--json")
    text = _benchmark("trainer.py", *SMALL, *short, "--work", tmp_path, cache=tmp_path)
    figures = json.loads(text[text.index("{\n") :])
    assert set(figures) == {"ours", "hugging face", "padded"}
    assert figures["ours"]["positions_per_token"] <= 1.02
    assert figures["padded"]["positions_per_token"] > figures["hugging face"]["positions_per_token"] > 1


@pytest.mark.distributed
def test_the_start_is_split_into_its_parts(tmp_path: Path) -> None:
    text = _benchmark("startup.py", *SMALL, "--work", tmp_path, cache=tmp_path)
    for state in ("cold", "warm"):
        assert re.search(rf"^{state}: ours takes \d+\.\d\d of the time to the first step", text, re.MULTILINE)


@pytest.mark.integration
@pytest.mark.timeout(_MAY_BUILD_SECONDS)
def test_a_few_jobs_show_what_the_operator_costs(tmp_path: Path) -> None:
    with cluster_required():
        for tool in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"):
            find(tool)
    small = ("--jobs", "3", "--singles", "1", "--json")
    text = _benchmark("operator.py", *small, cache=tmp_path)
    figures = json.loads(text[text.index("{\n") :])
    assert set(figures) == {"bare pods", "ours", "by hand"}
    ours = figures["ours"]
    assert 0 < ours["seconds_to_all_pods"] <= ours["seconds_to_all_running"] <= ours["seconds_to_all_complete"] < 240
    calls = ours["calls"]
    assert (calls["create pods"], calls["create services"]) == (6, 3)
    # Of a job that runs and ends well: it began, it runs, it is over, and at most once that a first pod runs; where
    # pods take a second or more to start, also what they wait for.
    assert 9 <= calls["patch finetunejobs/status"] <= 18
    assert 0 < ours["cpu_seconds"] < 90
    assert 20 < ours["peak_megabytes"] < 200
