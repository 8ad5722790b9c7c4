"""Placing all pods of an attempt together: what each gang scheduler reads on pods, and the group it asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from finetune_api.names import pod_group_name
from finetune_operator.children.blueprint import Blueprint, Body

_KUEUE: Final = "kueue.x-k8s.io"


@dataclass(frozen=True)
class Gang:
    """What one attempt's pods carry so that they are placed together or not at all."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    scheduler: str | None = None
    """Scheduler of the pods, unless the job names one."""
    group: Body | None = None
    """The object that has to exist before the pods."""


def gang_of(job: Blueprint, attempt: int, nodes: int) -> Gang:
    """Return what the job's gang scheduler needs for an attempt of so many `nodes`.

    Every attempt is a group of its own: schedulers count the ended pods of a group as members of it.
    """
    return _GANGS[job.spec.scheduling.gang](job, pod_group_name(job.name, attempt), nodes)


def queue_labels(job: Blueprint) -> dict[str, str]:
    """Return the label by which Kueue holds a pod until its queue has room; the prepare pod waits there alone."""
    scheduling = job.spec.scheduling
    kueue = scheduling.gang == "Kueue" and scheduling.queue_name
    return {f"{_KUEUE}/queue-name": scheduling.queue_name} if kueue and scheduling.queue_name else {}


def _none(job: Blueprint, name: str, nodes: int) -> Gang:
    return Gang()


def _kueue(job: Blueprint, name: str, nodes: int) -> Gang:
    return Gang(
        labels={**queue_labels(job), f"{_KUEUE}/pod-group-name": name},
        # A pod that fails is never replaced within its group: the next attempt is a new group.
        annotations={f"{_KUEUE}/pod-group-total-count": str(nodes), f"{_KUEUE}/retriable-in-group": "false"},
    )


def _volcano(job: Blueprint, name: str, nodes: int) -> Gang:
    queue = job.spec.scheduling.queue_name
    priority = job.spec.scheduling.priority_class_name
    optional = {"queue": queue, "priorityClassName": priority}
    spec = {"minMember": nodes, **{key: value for key, value in optional.items() if value}}
    return Gang(
        annotations={"scheduling.k8s.io/group-name": name},
        scheduler="volcano",
        group=_group(job, "scheduling.volcano.sh/v1beta1", name, spec),
    )


def _coscheduling(job: Blueprint, name: str, nodes: int) -> Gang:
    return Gang(
        labels={"scheduling.x-k8s.io/pod-group": name},
        scheduler="scheduler-plugins-scheduler",
        group=_group(job, "scheduling.x-k8s.io/v1alpha1", name, {"minMember": nodes}),
    )


def _group(job: Blueprint, version: str, name: str, spec: Body) -> Body:
    return {"apiVersion": version, "kind": "PodGroup", "metadata": job.metadata(name), "spec": spec}


_GANGS: Final[Mapping[str, Callable[[Blueprint, str, int], Gang]]] = {
    "None": _none,
    "Kueue": _kueue,
    "Volcano": _volcano,
    "Coscheduling": _coscheduling,
}
