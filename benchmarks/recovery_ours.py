"""A run of ours that is to be struck: a FinetuneJob that is suspended once, and goes on."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.recovery_watch import Place, Sighting, Sightings

from cluster.provider import Cluster
from finetune_api.names import JOB_NAME_LABEL, ROLE_LABEL, TRAINER_ROLE
from finetune_api.status import JobStatus
from finetune_operator.cluster.resources import FINETUNE_JOBS, PODS
from support.example_job import CLAIM, NAME, example_job
from support.workspace import Workspace

Body = dict[str, Any]

SAVE_INTERVAL: Final = 200
"""Steps between checkpoints: the run is struck before the first of them, so that a fault costs all steps since then."""
_STEPS: Final = 20000
"""More than any run here takes."""
_GRACE: Final = 30
_PAUSE: Final = 0.1
_PATIENCE: Final = 240.0


class OurRun:
    """One FinetuneJob in a namespace of its own."""

    name = "ours"
    begun, resumed, recovered = 0, 1, 2
    """What the metrics call its attempts: the first, the one that is struck, and the one that follows."""

    def __init__(self, cluster: Cluster, space: Workspace, run_policy: Mapping[str, Any]) -> None:
        self._space = space
        self._job = job(run_policy)

    @property
    def places(self) -> list[Place]:
        """What is worth watching."""
        return [(FINETUNE_JOBS, self._space.namespace), (PODS, self._space.namespace)]

    def start(self) -> str:
        """Begin to train, and return the claim of the output."""
        self._space.apply(self._job)
        self._space.until(NAME, lambda status: status.state != "", seconds=_PATIENCE)
        return CLAIM

    def halt(self) -> None:
        """Have it save and leave."""
        self._suspend(True)
        self._space.until_state(NAME, "Suspended")

    def resume(self) -> None:
        """Have it go on."""
        self._suspend(False)

    def pods(self) -> list[Body]:
        """Return its training pods, by rank."""
        found = self._space.pods(NAME, training=True)
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def detected(self, sightings: Sightings, since: float) -> float | None:
        """Return when the outcome of the attempt that was struck was recorded."""
        return sightings.first(FINETUNE_JOBS.kind, self._is_recorded, since)

    def cause(self) -> str:
        """Return what is recorded of the attempt that was struck."""
        found = [one for one in self._space.status(NAME).attempts if one.number == self.resumed]
        return "/".join(filter(None, (str(found[0].outcome or ""), found[0].reason))) if found else ""

    def story(self) -> str:
        """Return what a person would look at first."""
        return self._space.story(NAME)

    def _is_recorded(self, sighting: Sighting) -> bool:
        attempts = JobStatus.of(sighting.body).attempts
        return any(one.number == self.resumed and one.outcome is not None for one in attempts)

    def _suspend(self, wanted: bool) -> None:
        patch = f'{{"spec": {{"runPolicy": {{"suspend": {str(wanted).lower()}}}}}}}'
        self._space.kubectl("patch", "finetunejob", NAME, "--type=merge", "-p", patch)


def job(run_policy: Mapping[str, Any]) -> Body:
    """Return the example's job as one that takes long, on two nodes where there are two."""
    pods = {"matchLabels": {JOB_NAME_LABEL: NAME, ROLE_LABEL: TRAINER_ROLE}}
    policy = {"gracePeriodSeconds": _GRACE, "maxRestarts": 10, **run_policy}
    body: Body = example_job(runPolicy=policy, scheduling={"affinity": apart(pods)})
    config = body["spec"]["config"]
    config |= {"max_duration": f"{_STEPS}ba", "save_interval": f"{SAVE_INTERVAL}ba"}
    del config["eval_loader"], config["eval_interval"], config["device_eval_batch_size"]
    return body


def apart(pods: Body) -> Body:
    """Return an affinity that spreads pods over nodes while there are enough; after a node is lost there are not."""
    term = {"labelSelector": pods, "topologyKey": "kubernetes.io/hostname"}
    return {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]
        }
    }


def no_leftover(space: Workspace, selector: str, seconds: float = _PATIENCE) -> None:
    """Wait until no pod with these labels is left; raises TimeoutError."""
    end = time.monotonic() + seconds
    while space.kubectl("get", "pods", "-l", selector, "-o", "name").strip():
        if time.monotonic() > end:
            raise TimeoutError(f"pods with {selector} are still there")
        time.sleep(_PAUSE)


def metrics_of(cluster: Cluster, space: Workspace, claim: str) -> Path:
    """Return the metrics of a run; raises LookupError where the files of volumes cannot be read from here."""
    folder = cluster.claimed_directory(space.namespace, claim)
    if folder is None:
        raise LookupError("the files of this cluster's volumes cannot be read from here: steps cannot be timed")
    return folder / "metrics.jsonl"
