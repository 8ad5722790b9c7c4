"""The peer's run: a TrainJob whose pods are ours but for their names, and whose runtime restarts the whole group.

As Kubeflow Trainer has no attempts, its author hands JobSet's count of restarts to the launcher, as the last digit of
the attempt; the digit before it tells the TrainJob that trains from the one that continues in its place, undisturbed.
Detecting what goes wrong inside of a pod, as a hang, is the launcher's work here too.
"""

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.recovery_ours import apart, job, no_leftover
from benchmarks.recovery_watch import Place, Sighting, Sightings

from cluster.provider import Cluster
from finetune_operator.cluster.resources import PODS, Resource
from finetune_operator.render import render_children
from finetune_operator.settings import Settings
from support.workspace import Workspace

Body = dict[str, Any]

_JOB_SETS: Final = Resource("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet")
_OWNER: Final = "jobset.sigs.k8s.io/jobset-name"
_INDEX: Final = "batch.kubernetes.io/job-completion-index"
_RESTARTS: Final = "jobset.sigs.k8s.io/restart-attempt"
_CLAIM: Final = "train-output"
_NAMES: Final = ("first", "second")
_RESTARTS_ALLOWED: Final = 9
"""One digit."""


class KubeflowRun:
    """Two TrainJobs, one after the other, on one output."""

    name = "kubeflow"
    begun, resumed, recovered = 10, 20, 21

    def __init__(self, cluster: Cluster, space: Workspace, run_policy: Mapping[str, Any]) -> None:
        self._space = space
        body = job(run_policy)
        body["metadata"]["namespace"] = space.namespace
        settings = Settings(trainer_image=cluster.trainer_image)
        self._children = render_children(body, settings)

    @property
    def places(self) -> list[Place]:
        """What is worth watching."""
        return [(_JOB_SETS, self._space.namespace), (PODS, self._space.namespace)]

    def start(self) -> str:
        """Begin to train, and return the claim of the output."""
        for kind in ("ConfigMap", "PersistentVolumeClaim"):
            self._space.apply(self._own(kind))
        for number, name in enumerate(_NAMES, start=1):
            self._space.apply(runtime(self._template(name, number), name))
        self._create(_NAMES[0])
        return _CLAIM

    def halt(self) -> None:
        """Have it save and leave."""
        self._space.kubectl("delete", "trainjob", _NAMES[0], "--cascade=foreground")
        no_leftover(self._space, f"{_OWNER}={_NAMES[0]}")

    def resume(self) -> None:
        """Have another one continue."""
        self._create(_NAMES[1])

    def pods(self) -> list[Body]:
        """Return its training pods, by rank."""
        found = self._space.get("pods", **{_OWNER: _NAMES[1]})["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["labels"][_INDEX]))

    def detected(self, sightings: Sightings, since: float) -> float | None:
        """Return when JobSet counted a restart."""
        return sightings.first(_JOB_SETS.kind, _counts_restart, since)

    def cause(self) -> str:
        """Return what is recorded: that a Job failed, whatever happened."""
        conditions = self._space.get("jobset", _NAMES[1]).get("status", {}).get("conditions") or []
        return "/".join(str(one["reason"]) for one in conditions if one["type"] == "RestartingJobSet")

    def story(self) -> str:
        """Return what a person would look at first."""
        return "\n".join(self._space.kubectl("get", kind, "-o", "wide") for kind in ("trainjobs,jobsets,jobs", "pods"))

    def _create(self, name: str) -> None:
        reference = {"name": name, "kind": "TrainingRuntime", "apiGroup": "trainer.kubeflow.org"}
        body = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": name}}
        self._space.apply(body | {"spec": {"runtimeRef": reference}})

    def _own(self, kind: str) -> Body:
        body = next(body for body in self._children if body["kind"] == kind)
        name = _CLAIM if kind == "PersistentVolumeClaim" else body["metadata"]["name"]
        return {**body, "metadata": {"name": name}}

    def _template(self, name: str, number: int) -> Body:
        pod = next(body for body in self._children if body["kind"] == "Pod" and body["spec"].get("subdomain"))
        return template(pod, name, number)


def template(pod: Body, name: str, number: int) -> Body:
    """Return the pods of a TrainJob, the `number`th on its output, from a pod of ours."""
    spec = {key: value for key, value in pod["spec"].items() if key not in ("hostname", "subdomain")}
    spec["affinity"] = apart({"matchLabels": {_OWNER: name}})
    spec["volumes"] = [_claimed(volume) for volume in spec["volumes"]]
    (container,) = spec["containers"]
    changed = {
        "--node-rank": "$(JOB_COMPLETION_INDEX)",
        "--run-dir": "/scratch/run",
        "--attempt": f"{number}$(RESTARTS)",
        "--master-addr": f"{name}-node-0-0.{name}",
        "--peers": f"{name}-node-0-{{rank}}.{name}",
        "--prepare": "inline" if number == 1 else "done",
    }
    restarts = {"fieldRef": {"fieldPath": f"metadata.labels['{_RESTARTS}']"}}
    spec["containers"] = [
        {
            **container,
            "name": "node",
            "command": with_values(container["command"], changed),
            "env": [*container["env"], {"name": "RESTARTS", "valueFrom": restarts}],
        }
    ]
    return spec


def with_values(command: list[str], values: Mapping[str, str]) -> list[str]:
    """Return a command line whose options have other values; those that it lacks stay out."""
    before = [None, *command]
    return [values.get(str(option), word) for option, word in zip(before, command, strict=False)]


def runtime(pods: Body, name: str) -> Body:
    """Return a TrainingRuntime for two nodes: when a pod fails, its Job does, and then all are made anew."""
    replicated = {
        "name": "node",
        "template": {
            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
            "spec": {"backoffLimit": 0, "template": {"spec": pods}},
        },
    }
    policy = {"maxRestarts": _RESTARTS_ALLOWED}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {"name": name, "labels": {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": 2, "torch": {}},
            "template": {"spec": {"failurePolicy": policy, "replicatedJobs": [replicated]}},
        },
    }


def _claimed(volume: Body) -> Body:
    claim = {"claimName": _CLAIM}
    return {"name": volume["name"], "persistentVolumeClaim": claim} if "persistentVolumeClaim" in volume else volume


def _counts_restart(sighting: Sighting) -> bool:
    return bool((sighting.body.get("status") or {}).get("restarts"))
