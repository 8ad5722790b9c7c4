"""A local cluster for a person: `make cluster` leaves it running in the background, `make cluster-down` removes it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cluster import cache
from cluster.binaries import ToolMissing, find
from cluster.images.image import REPOSITORY
from cluster.local import claim
from cluster.local.cluster import LocalCluster

_CHART: Final = REPOSITORY / "charts/finetune-operator"
_HOLD: Final = ("-m", "cluster", "hold")
_SECONDS: Final = 120.0

Say = Callable[[str], None]


def up(nodes: int, say: Say) -> int:
    """Start a cluster in the background and wait until it is there; returns an exit code."""
    if state := _state():
        say(f"It is up already.\n{_welcome(state)}")
        return 0
    log = _log()
    log.parent.mkdir(parents=True, exist_ok=True)
    say(f"Starting a cluster of {nodes} node(s); the first time this builds Kubernetes and the images. Log: {log}")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *_HOLD, "--nodes", str(nodes)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        while not (state := _state()):
            if process.poll() is not None:
                say(log.read_text(encoding="utf-8", errors="replace").rstrip())
                return 1
            time.sleep(0.2)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return 130
    say(_welcome(state))
    return 0


def down(say: Say) -> int:
    """End the cluster, or remove what a killed one left; returns an exit code."""
    if state := _state():
        _end(int(state["pid"]))
    with claim.claimed(cache.root() / "cluster", patience=30.0):
        pass  # claiming removes what an earlier cluster left; the one just ended may need a moment for that
    _log().unlink(missing_ok=True)
    say(f"No cluster runs. Built programs and images stay for the next one: {cache.root()}")
    return 0


def status(say: Say) -> int:
    """Say whether a cluster is up; returns 1 when none is."""
    state = _state()
    say(_welcome(state) if state else "No cluster is up; `make cluster` starts one.")
    return 0 if state else 1


def hold(nodes: int) -> int:
    """Be the cluster until SIGTERM."""
    signal.signal(signal.SIGTERM, _leave)
    with LocalCluster(nodes, patience=0.0) as cluster:
        chart = _install(cluster)
        content = {"pid": os.getpid(), "kubeconfig": str(cluster.kubeconfig), "nodes": nodes, "chart": chart}
        state = _state_file()
        state.with_suffix(".new").write_text(json.dumps(content), encoding="utf-8")
        state.with_suffix(".new").rename(state)
        while True:
            signal.pause()


def welcome(state: dict[str, Any], kubectl: str) -> str:
    """Return what a person does next."""
    sample = "examples/arc-easy/arc-easy-local-job.yaml"
    lines = [
        f"A cluster of {state['nodes']} node(s) is up.",
        f"  export KUBECONFIG={state['kubeconfig']}",
        f"  export PATH=$PATH:{Path(kubectl).parent}",
        "  kubectl get nodes",
    ]
    if state["chart"]:
        lines.append(
            f"The operator runs in the namespace finetune-system. A job to try: the comments of {sample} say how."
        )
    return "\n".join([*lines, "`make cluster-down` removes all of it."])


def _install(cluster: LocalCluster) -> bool:
    """Install the operator from the images just built, where its chart exists."""
    if not (_CHART / "Chart.yaml").exists():
        return False
    values = chart_values(cluster.operator_image, cluster.trainer_image)
    release = ("upgrade", "--install", "finetune-operator", _CHART, "--namespace", "finetune-system")
    more = ("--create-namespace", "--wait", "--timeout", "2m", "--kubeconfig", cluster.kubeconfig)
    done = subprocess.run([find("helm"), *release, *more, *values], check=False)
    if done.returncode:
        print("The chart could not be installed; the cluster is up without it.", flush=True)
    return not done.returncode


def chart_values(operator_image: str, trainer_image: str) -> list[str]:
    """Return helm's arguments that make the chart use these images."""
    values = []
    for key, image in (("image", operator_image), ("trainer.image", trainer_image)):
        repository, _, tag = image.rpartition(":")
        values += [f"--set={key}.repository={repository}", f"--set={key}.tag={tag}"]
    return values


def _welcome(state: dict[str, Any]) -> str:
    return welcome(state, str(find("kubectl")))


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            raise ToolMissing(f"process {pid}, which holds the cluster, does not end")
        time.sleep(0.1)


def _log() -> Path:
    return cache.root() / "playground.log"


def _state_file() -> Path:
    return cache.root() / "cluster" / "playground.json"  # removed with the cluster


def _state() -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        state: dict[str, Any] = json.loads(_state_file().read_text(encoding="utf-8"))
        if _alive(state["pid"]):
            return state
    return {}


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"cluster\0hold" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _leave(*_: object) -> None:
    sys.exit(0)
