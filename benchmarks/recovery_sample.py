"""One sample: a run begins, is halted at a checkpoint, is resumed undisturbed, is struck, and recovers or does not."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.recovery_clock import Sample
from benchmarks.recovery_ours import job, metrics_of
from benchmarks.recovery_rows import LEADER_SECONDS, OPERATOR, Origin, Row, Scene, eldest_of, operator_pods
from benchmarks.recovery_watch import Place, Sighting, Sightings, Steps, following, watching

from cluster.provider import Cluster
from finetune_operator.cluster.resources import FINETUNE_JOBS, LEASES, NODES, PODS
from support.example_job import give_inputs
from support.helm_release import SYSTEM
from support.workspace import Workspace

Body = dict[str, Any]

STEPS_BEFORE: Final = 10
"""Steps that an attempt has done when something happens to it."""
_PAUSE: Final = 0.02
_PATIENCE: Final = 240.0


class Run(Protocol):
    """A run of one contender."""

    name: str
    begun: int
    resumed: int
    """What the metrics call the attempt that is struck."""
    recovered: int
    """And the one that follows."""

    @property
    def places(self) -> list[Place]: ...

    def start(self) -> str: ...

    def halt(self) -> None: ...

    def resume(self) -> None: ...

    def pods(self) -> list[Body]: ...

    def detected(self, sightings: Sightings, since: float) -> float | None: ...

    def cause(self) -> str: ...

    def story(self) -> str: ...


Starts = Callable[[Cluster, Workspace, Mapping[str, Any]], Run]


def measure(cluster: Cluster, space: Workspace, start: Starts, row: Row, model: Path) -> Sample:
    """Strike one run once; raises TimeoutError when it does not even get as far as that."""
    give_inputs(space, model)
    run = start(cluster, space, row.run_policy)
    with following(metrics_of(cluster, space, run.start())) as steps:
        _until(lambda: _done(steps, run.begun) >= STEPS_BEFORE, run)
        run.halt()
        with watching(space.kubeconfig, [*run.places, (NODES, None), (LEASES, SYSTEM)]) as sightings:
            asked = time.monotonic()
            run.resume()
            _until(lambda: _done(steps, run.resumed) >= STEPS_BEFORE, run)
            scene = Scene(cluster, space, run.pods())
            fault = row.strike(scene)
            gave_up = _wait(steps, run, fault + row.patience)
            return sample(run, row.origin, row.allowance(scene.pods), steps, sightings, asked, fault, gave_up)


def sample(
    run: Run, origin: Origin, allowance: float, steps: Steps, sightings: Sightings,
    asked: float, fault: float, gave_up: float,
) -> Sample:  # fmt: skip
    """Put together what was seen of a run that was resumed at `asked` and struck at `fault`."""
    before, after = steps.first(run.resumed), steps.first(run.recovered)
    first_pod = sightings.first(PODS.kind, _is_new, asked)
    assert before is not None
    assert first_pod is not None
    counted_from = origin_of(origin, sightings, fault)
    return Sample(
        undisturbed=before[1] - first_pod,
        fault=fault,
        origin=fault if counted_from is None else counted_from,
        allowance=allowance,
        detected=run.detected(sightings, fault),
        created=sightings.first(PODS.kind, _is_new, fault),
        stepped=None if counted_from is None or after is None else after[1],
        gave_up=gave_up,
        steps_lost=None if after is None else steps.last(run.resumed) - (after[0] - 1),
        cause=run.cause(),
        same_checkpoint=after is None or after[0] == before[0],
    )


def origin_of(origin: Origin, sightings: Sightings, fault: float) -> float | None:
    """Return since when a bound counts; None when that was never seen."""
    match origin:
        case "not ready":
            return sightings.first(NODES.kind, _is_not_ready, fault)
        case "operator back":
            return sightings.first(LEASES.kind, lambda one: one.change == "MODIFIED", fault)
        case _:
            return fault


def measure_leader(space: Workspace) -> Sample:
    """Stop the leader of two operators as if it slept, ask for something at once, and wait until the other does it."""
    (lease,) = Workspace(space.kubeconfig, SYSTEM).get("leases")["items"]
    leader = str(lease["spec"]["holderIdentity"]).partition("_")[0]
    pod = _operator(space, leader)
    before, pid = _restarts(pod), eldest_of(pod, OPERATOR)
    with watching(space.kubeconfig, [(FINETUNE_JOBS, space.namespace)]) as sightings:
        fault = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        try:
            space.apply(job({"suspend": True}))
            end = fault + 4 * LEADER_SECONDS
            while (acts := sightings.first(FINETUNE_JOBS.kind, _is_reported, fault)) is None and time.monotonic() < end:
                time.sleep(_PAUSE)
        finally:
            os.kill(pid, signal.SIGCONT)
    gave_up = time.monotonic()
    while not _stands_by(_operator(space, leader), before):  # woken, it finds that another leads, and ends
        if time.monotonic() > gave_up + _PATIENCE:
            raise TimeoutError(f"{leader} has not begun anew after it had slept")
        time.sleep(_PAUSE)
    return Sample(0.0, fault, fault, LEADER_SECONDS, detected=acts, created=acts, stepped=acts, gave_up=gave_up)


def _operator(space: Workspace, name: str) -> Body:
    return next(pod for pod in operator_pods(space) if pod["metadata"]["name"] == name)


def _restarts(operator: Body) -> int:
    (container,) = operator["status"]["containerStatuses"]
    return int(container["restartCount"])


def _stands_by(operator: Body, restarts: int) -> bool:
    (container,) = operator["status"]["containerStatuses"]
    return bool(container["ready"]) and _restarts(operator) > restarts


def _done(steps: Steps, attempt: int) -> int:
    first = steps.first(attempt)
    return steps.last(attempt) - first[0] + 1 if first else 0


def _until(holds: Callable[[], bool], run: Run) -> None:
    end = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"the run of {run.name} did not begin within {_PATIENCE:.0f} s\n{run.story()}")
        time.sleep(_PAUSE)


def _wait(steps: Steps, run: Run, end: float) -> float:
    while steps.first(run.recovered) is None:
        if time.monotonic() > end:
            print(f"{run.name} did not recover:\n{run.story()}", file=sys.stderr, flush=True)
            break
        time.sleep(_PAUSE)
    return time.monotonic()


def _is_new(sighting: Sighting) -> bool:
    return sighting.change == "ADDED"


def _is_not_ready(sighting: Sighting) -> bool:
    conditions = sighting.body["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] != "True" for one in conditions)


def _is_reported(sighting: Sighting) -> bool:
    return bool((sighting.body.get("status") or {}).get("conditions"))
