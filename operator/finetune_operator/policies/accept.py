"""Judges a new job once, and freezes what every attempt will use."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from finetune_api.config import TrainingConfig, check_world, parse_training_config
from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.job import GROUP, KIND, VERSION, FinetuneJobSpec, load_job
from finetune_api.names import config_map_name
from finetune_api.reasons import ConditionType, reason_of
from finetune_api.status import FrozenStatus, condition_of
from finetune_operator.children.blueprint import Blueprint, config_hash, gpus_of, processes_per_node
from finetune_operator.children.fetching import fetches_of
from finetune_operator.decision import Event
from finetune_operator.observed import SeenJob
from finetune_operator.policies.deadlines import pending_since
from finetune_operator.policies.ending import fail
from finetune_operator.policies.waiting import wait_for_code
from finetune_operator.settings import Settings
from finetune_operator.view import View

_LOST_CONFIG: Final = "spec.config: the ConfigMap with the accepted configuration is gone; create a new job"


@dataclass(frozen=True)
class Judged:
    """A spec without mistakes."""

    spec: FinetuneJobSpec
    config: TrainingConfig
    ignored: tuple[str, ...]
    """Keys of the configuration that have no effect here."""


def accept(view: View) -> View:
    """Settle image, configuration, code and shape of a new job; a job with mistakes fails with all of them."""
    try:
        judged = _judged(json.dumps(view.job.document.get("spec")), view.job.name)
        if view.status.frozen is None:
            _check_world(judged)
            _check_inline(judged)
    except ConfigInvalid as error:
        return _refuse(view, error)
    forbidden = _forbidden(view, judged.spec)
    if forbidden:
        return view.say(ConditionType.STALLED, "PolicyForbids", field=forbidden[0], message=forbidden[1]).stop()
    if view.status.frozen is None:
        if judged.spec.code and view.observed.code_sha256 is None:
            return _wait_for_code(view, judged.spec, judged.spec.code.config_map.name)
        view = _tell_ignored(_freeze(view, judged), judged.ignored)
    elif _lost_config(view, judged.config):
        return fail(view, "ConfigInvalid", message=_LOST_CONFIG)
    return replace(view, blueprint=_blueprint(view.job, view.frozen, judged, view.settings))


def blueprint_of(job: SeenJob, settings: Settings) -> Blueprint | None:
    """Return what the children of a job are built from, or None while it is not accepted."""
    if job.status.frozen is None:
        return None
    try:
        judged = _judged(json.dumps(job.document.get("spec")), job.name)
    except ConfigInvalid:
        return None
    return _blueprint(job, job.status.frozen, judged, settings)


def prepare_mode(spec: FinetuneJobSpec, config: TrainingConfig) -> str:
    """Return what `prepare.mode` comes to: Auto is Inline for a CPU job on one node with local sources."""
    if spec.prepare.mode != "Auto":
        return spec.prepare.mode
    simple = spec.nodes == 1 and spec.elastic is None and gpus_of(spec) == 0
    return "Inline" if simple and not fetches_of(spec, config) else "Pod"


@lru_cache(maxsize=4096)
def _judged(spec: str, name: str) -> Judged:
    """Judge a spec, given as JSON; judging takes milliseconds, and every plan for the job needs the same answer.

    Raises ConfigInvalid with all mistakes.
    """
    document = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": {"name": name}, "spec": json.loads(spec)}
    job = load_job(document)
    try:
        loaded = parse_training_config(job.spec.config)
    except ConfigInvalid as error:
        raise _in_config(error) from None
    return Judged(job.spec, loaded.config, loaded.ignored)


def _check_world(judged: Judged) -> None:
    try:
        check_world(judged.config, judged.spec.nodes * processes_per_node(judged.spec))
    except ConfigInvalid as error:
        raise _in_config(error) from None


def _check_inline(judged: Judged) -> None:
    fetches = fetches_of(judged.spec, judged.config) if judged.spec.prepare.mode == "Inline" else ()
    if fetches:
        names = ", ".join(dict.fromkeys(fetch.uri for fetch in fetches))
        sentence = f"Inline cannot fetch {names}; use Pod or Auto, or put it on a volume and write its path"
        raise ConfigInvalid.of([Problem("spec.prepare.mode", sentence)])


def _in_config(error: ConfigInvalid) -> ConfigInvalid:
    return ConfigInvalid.of([problem.under("spec.config") for problem in error.problems])


def _refuse(view: View, error: ConfigInvalid) -> View:
    """Fail a new job; one that was accepted before is left as it is, since only this operator's rules are newer."""
    if view.status.frozen is not None:
        return view.say(ConditionType.STALLED, "PolicyForbids", field="spec", message=str(error)).stop()
    about_config = all(problem.path.startswith("spec.config") for problem in error.problems)
    return fail(view, "ConfigInvalid" if about_config else "SpecInvalid", message=str(error))


def _lost_config(view: View, config: TrainingConfig) -> bool:
    """The ConfigMap holds what was frozen; only when it is gone must it be made again, and come out the same."""
    held = view.observed.has("ConfigMap", config_map_name(view.job.name))
    return not held and config_hash(config) != view.frozen.config_sha256


def _wait_for_code(view: View, spec: FinetuneJobSpec, name: str) -> View:
    view = wait_for_code(view.say(ConditionType.RECONCILING, "Accepting"), name)
    waiting = condition_of(view.status.conditions, ConditionType.RECONCILING)
    if waiting is None or spec.run_policy.suspend:
        return view
    return pending_since(view, waiting.last_transition_time, spec.run_policy)


def _forbidden(view: View, spec: FinetuneJobSpec) -> tuple[str, str] | None:
    """The first field that asks for what the operator's settings do not allow, and what they do."""
    settings, scheduling = view.settings, spec.scheduling
    asked = (
        ("spec.scheduling.priorityClassName", scheduling.priority_class_name, settings.priority_classes),
        ("spec.scheduling.runtimeClassName", scheduling.runtime_class_name, settings.runtime_classes),
        ("spec.serviceAccountName", spec.service_account_name, settings.service_accounts),
    )
    for field, wanted, allowed in asked:
        if wanted and wanted not in allowed:
            return field, f"{wanted} is not among the allowed ones ({', '.join(allowed) or 'none'})"
    return None


def _freeze(view: View, judged: Judged) -> View:
    spec, config = judged.spec, judged.config
    mode = prepare_mode(spec, config)
    frozen = FrozenStatus.model_validate(
        {
            "image": spec.image or view.settings.trainer_image,
            "config_sha256": config_hash(config),
            "code_sha256": view.observed.code_sha256 if spec.code else None,
            "prepare_mode": mode,
            "processes_per_node": processes_per_node(spec),
        }
    )
    view = view.report(frozen=frozen, start_time=view.now)
    view = view.forget(ConditionType.RUNNING).say(ConditionType.STALLED, "NotStalled")
    if mode == "Inline":
        return view.say(ConditionType.RECONCILING, "Accepted")
    return view.say(ConditionType.RECONCILING, "Preparing")


def _tell_ignored(view: View, ignored: tuple[str, ...]) -> View:
    if not ignored:
        return view
    row = reason_of(None, "ConfigKeysIgnored")
    return view.tell(Event(row.name, row.say(keys=", ".join(ignored)), row.warning))


def _blueprint(job: SeenJob, frozen: FrozenStatus, judged: Judged, settings: Settings) -> Blueprint:
    return Blueprint(
        name=job.name,
        namespace=job.namespace,
        uid=job.uid,
        spec=judged.spec,
        config=judged.config,
        image=frozen.image or settings.trainer_image,
        inline=frozen.prepare_mode == "Inline",
        settings=settings,
    )
