"""Ten real jobs on a real cluster, with faults from the seed: `make soak SEED=7 REAL=1`."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cluster.provider import cluster as chosen_cluster
from finetune_api.names import training_pod_name
from finetune_api.status import JobStatus
from support.example_job import NAME, example_job, give_inputs, make_model
from support.helm_release import Release
from support.history import History, watched
from support.workspace import Workspace

JOBS: Final = 10
_EPOCHS: Final = 12
_KILL_RANK: Final = """
import os, pathlib, signal, time
while not (files := list(pathlib.Path("/scratch").glob("run-*/pid.[0-9]*"))):
    time.sleep(0.2)
os.kill(int(files[0].read_text()), signal.SIGKILL)
"""


class Fault(StrEnum):
    """What a real attempt may suffer."""

    RANK_KILLED = "rank killed"
    POD_DELETED = "pod deleted"
    POD_EVICTED = "pod evicted"
    SUSPENDED = "suspended and resumed"
    OPERATOR_DELETED = "operator's pod deleted"


OUTCOMES: Final = {
    Fault.RANK_KILLED: "Failure",
    Fault.POD_DELETED: "Disruption",
    Fault.POD_EVICTED: "Disruption",
    Fault.SUSPENDED: "Suspended",
}
"""What an attempt must be told to have ended as; the operator's own end is none of its business."""


@dataclass(frozen=True)
class Strike:
    """One fault, some seconds after an attempt's first step."""

    fault: Fault
    after: float
    rank: int


def draw(seed: int) -> tuple[tuple[Strike, ...], ...]:
    """Return what the jobs suffer; the same for the same seed."""
    dice = random.Random(f"real soak {seed}")
    return tuple(tuple(_strikes(dice)) for _ in range(JOBS))


def _strikes(dice: random.Random) -> Iterator[Strike]:
    for _ in range(dice.choice((0, 1, 1, 2, 2))):
        yield Strike(dice.choice(list(Fault)), round(dice.uniform(0.0, 2.0), 2), dice.randrange(2))


def soak(seed: int, directory: Path, done: set[str]) -> Iterator[str]:
    """Run the jobs one after another and yield the name of each that ended rightly; raises AssertionError."""
    with chosen_cluster(nodes=2) as cluster:
        Release(cluster.kubeconfig, cluster.operator_image, cluster.trainer_image).upgrade()
        model = make_model(directory / "model")
        for number, strikes in enumerate(draw(seed)):
            name = f"real-{number}"
            if name in done:
                continue
            space = Workspace(cluster.kubeconfig, f"soak-{name}").create()
            try:
                _play(space, strikes, model)
            finally:
                space.delete()
            yield name


def _play(space: Workspace, strikes: tuple[Strike, ...], model: Path) -> None:
    give_inputs(space, model)
    with watched(space.kubeconfig, space.namespace) as history:
        space.apply(example_job(epochs=_EPOCHS))
        suffered = [strike for strike in strikes if _strike(space, strike)]
        status = space.until_state(NAME, "Complete", seconds=600)
    _check(status, suffered, history)


def _strike(space: Workspace, strike: Strike) -> bool:
    """Strike the newest attempt once it trains; return whether it was still there to be struck."""
    space.until(NAME, lambda status: status.state == "Complete" or _trains(status), seconds=300)
    time.sleep(strike.after)
    status = space.status(NAME)
    if not _trains(status):
        return False
    number = status.attempts[-1].number
    _do(space, strike, training_pod_name(NAME, number, strike.rank))
    if strike.fault in OUTCOMES:
        space.until(NAME, lambda status: status.attempts[-1].number > number or _is_over(status, number), seconds=180)
    if strike.fault is Fault.SUSPENDED:
        space.until_state(NAME, "Suspended")
        _suspend(space, False)
    return True


def _do(space: Workspace, strike: Strike, pod: str) -> None:
    match strike.fault:
        case Fault.RANK_KILLED:
            space.kubectl("exec", pod, "-c", "trainer", "--", "python", "-c", _KILL_RANK)
        case Fault.POD_DELETED:
            space.kubectl("delete", "pod", pod, "--wait=false")
        case Fault.POD_EVICTED:
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
            path = f"/api/v1/namespaces/{space.namespace}/pods/{pod}/eviction"
            space.kubectl("create", "--raw", path, "-f", "-", stdin=eviction)
        case Fault.SUSPENDED:
            _suspend(space, True)
        case Fault.OPERATOR_DELETED:
            operators = "--selector=app.kubernetes.io/name=finetune-operator"
            space.kubectl("delete", "pod", "--namespace=finetune-system", operators, "--grace-period=0", "--force")


def _suspend(space: Workspace, wanted: bool) -> None:
    patch = f'{{"spec": {{"runPolicy": {{"suspend": {str(wanted).lower()}}}}}}}'
    space.kubectl("patch", "finetunejob", NAME, "--type=merge", "-p", patch)


def _trains(status: JobStatus) -> bool:
    newest = status.attempts[-1] if status.attempts else None
    return newest is not None and newest.outcome is None and status.state == "Running"


def _is_over(status: JobStatus, number: int) -> bool:
    return any(one.number == number and one.outcome is not None for one in status.attempts)


def _check(status: JobStatus, suffered: list[Strike], history: History) -> None:
    wanted = [OUTCOMES[strike.fault] for strike in suffered if strike.fault in OUTCOMES]
    told = [str(attempt.outcome) for attempt in status.attempts]
    assert told == [*wanted, "Succeeded"], f"{told} is told; true is {wanted}, then Succeeded"
    assert status.restarts == wanted.count("Failure"), f"{status.restarts} restarts are told"
    for attempt in status.attempts[:-1]:
        over, next_pod = history.last_end(attempt.number), history.first_pod(attempt.number + 1)
        assert over < next_pod, f"attempt {attempt.number + 1} began before the one before it was over"
