"""The jobs that are struck: the example, small and slowed down, with an order for one of its ranks."""

import json
from typing import Any, Final

from cluster.images.image import FAULTS
from faults.case import SAVED_EVERY, STEPS, Case, Shape
from finetune_api.names import JOB_NAME_LABEL, ROLE_LABEL, TRAINER_ROLE
from support.example_job import example_job

_DROPOUTS: Final = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
PACE: Final = 0.15
"""Seconds that each step takes longer: so that none is missed by who watches."""

Body = dict[str, Any]


def undisturbed(name: str, shape: Shape, claim: str) -> Body:
    """Return a job that nothing happens to."""
    return _job(name, shape, claim, {"pace": PACE})


def struck(case: Case, name: str, claim: str, seed: int) -> Body:
    """Return the job of a case."""
    order: Body = {"pace": PACE}
    if case.when.point in ("step", "row", "save", "load"):
        rank, step = case.drawn(seed)
        order |= {"rank": rank, "point": case.when.point, "step": step, "do": case.inside}
    return _job(name, case.shape, claim, order)


def _job(name: str, shape: Shape, claim: str, order: Body) -> Body:
    job = example_job(nodes=shape.nodes)
    job["metadata"]["name"] = name
    spec = job["spec"]
    spec["config"] = _config(spec["config"], dropout=shape.dropout)
    spec |= {
        "image": FAULTS,
        "processesPerNode": shape.processes,
        "output": {"volume": {"persistentVolumeClaim": {"claimName": claim}}, "subPath": name},
        "podTemplate": {"env": [{"name": "FAULT", "value": json.dumps(order)}]},
        "scheduling": _scheduling(name, apart=shape.apart) if shape.nodes > 1 else {},
        **shape.spec,
    }
    spec["runPolicy"] = {"maxRestarts": 2, "gracePeriodSeconds": 60, **spec.get("runPolicy", {})}
    return job


def _config(config: Body, *, dropout: bool) -> Body:
    ours: Body = {"max_duration": f"{STEPS}ba", "save_interval": f"{SAVED_EVERY}ba", "save_num_checkpoints_to_keep": 3}
    if not dropout:
        ours["model"] = {**config["model"], "config_overrides": dict.fromkeys(_DROPOUTS, 0.0)}
    return {key: value for key, value in config.items() if not key.startswith("eval_")} | ours


def _scheduling(name: str, *, apart: bool) -> Body:
    pods = {"matchLabels": {JOB_NAME_LABEL: name, ROLE_LABEL: TRAINER_ROLE}}
    term = {"labelSelector": pods, "topologyKey": "kubernetes.io/hostname"}
    if apart:
        return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}
