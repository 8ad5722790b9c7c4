"""From a training file to a `TrainingConfig`, or to all of its mistakes at once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from finetune_api.config.checks import cross_problems
from finetune_api.config.interpolation import apply_overrides, references, resolve
from finetune_api.config.keys import table_of
from finetune_api.config.problems import problems_of
from finetune_api.config.screen import screen
from finetune_api.config.training import TrainingConfig
from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.yaml_text import YamlDocument, parse_yaml, read_text


@dataclass(frozen=True)
class LoadedConfig:
    """A valid configuration, and the paths of keys in its file that were ignored."""

    config: TrainingConfig
    ignored: tuple[str, ...] = ()


# Stands in for parts that are wrong, so that rules between the other parts can still be checked.
_STAND_IN: Final[Mapping[str, Any]] = {
    "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": "stand-in"},
    "tokenizer": {"name": "stand-in"},
    "train_loader": {"name": "finetuning", "dataset": {"hf_name": "json"}},
    "optimizer": {"name": "decoupled_adamw"},
    "scheduler": {"name": "constant_with_warmup", "t_warmup": "0ba"},
    "max_duration": "1ep",
    "max_seq_len": 1,
    "global_train_batch_size": 1,
}


def load_training_config(source: Path, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read the training file `source`, with dotted overrides such as `optimizer.lr=1e-4`.

    A run without a name takes the environment variable RUN_NAME. Raises ConfigInvalid with all mistakes.
    """
    document = _single(parse_yaml(read_text(source), str(source)), str(source))
    return _load(document, overrides, run_name=os.environ.get("RUN_NAME") or None, environment=True)


def parse_training_config(document: Mapping[str, Any] | str, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read a training configuration from YAML text or from plain values, without touching the environment.

    Raises ConfigInvalid with all mistakes at once.
    """
    parsed = YamlDocument(document, frozenset())
    if isinstance(document, str):
        parsed = _single(parse_yaml(document), "")
    return _load(parsed, overrides, run_name=None, environment=False)


def _single(documents: Sequence[YamlDocument], where: str) -> YamlDocument:
    if len(documents) != 1:
        found = "it is empty" if not documents else f"it holds {len(documents)} documents"
        raise ConfigInvalid.of([Problem(where, f"expected one training configuration, but {found}")])
    return documents[0]


def _load(document: YamlDocument, overrides: Sequence[str], *, run_name: str | None, environment: bool) -> LoadedConfig:
    if not isinstance(document.value, Mapping):
        raise ConfigInvalid.of([Problem("", "expected a mapping of keys such as model, tokenizer, …")])
    tree, problems = apply_overrides(document.value, overrides)
    # An override may replace the only place that refers to a variable, which is no mistake of the file.
    referred = references(document.value) | references(tree) | document.aliased_keys
    values, unresolved = resolve(tree, environment=environment)
    values = _named(_with_variables(values, referred), run_name)
    config, ignored, mistakes = _validate(values, frozenset(problem.path for problem in unresolved))
    problems = [*problems, *unresolved, *mistakes]
    if problems or config is None:
        raise ConfigInvalid.of(problems)
    return LoadedConfig(config, ignored)


def _with_variables(values: dict[str, Any], referred: set[str] | frozenset[str]) -> dict[str, Any]:
    """Move free variables of older files, which stand at the top level, under `variables`."""
    table = table_of(TrainingConfig.part)
    known = {*TrainingConfig.model_fields, *table.ignored, *table.refused, *table.moved}
    free = {key: value for key, value in values.items() if key not in known and key in referred}
    variables = values.get("variables")
    if not free or not (variables is None or isinstance(variables, Mapping)):
        return values
    kept = {key: value for key, value in values.items() if key not in free}
    return {**kept, "variables": {**free, **(variables or {})}}


def _named(values: dict[str, Any], run_name: str | None) -> dict[str, Any]:
    return values if values.get("run_name") is not None else {**values, "run_name": run_name}


def _validate(
    values: dict[str, Any], unresolved: frozenset[str]
) -> tuple[TrainingConfig | None, tuple[str, ...], list[Problem]]:
    """Return the configuration if there is one, the ignored keys, and the mistakes."""
    kept, screening = screen(TrainingConfig, values)
    problems = screening.problems
    reported = unresolved | {problem.path for problem in problems}
    wrong: frozenset[str] = frozenset()
    config = None
    try:
        checkable = config = TrainingConfig.model_validate(kept)
    except ValidationError as error:
        found = problems_of(error.errors(include_url=False), kept)
        problems = [*problems, *(problem for problem in found if problem.path not in reported)]
        wrong = frozenset(str(detail["loc"][0]) for detail in error.errors() if detail["loc"])
        right = {key: value for key, value in kept.items() if key not in wrong}
        checkable = TrainingConfig.model_validate({**_STAND_IN, **right})
    return config, tuple(screening.ignored), [*problems, *cross_problems(checkable, wrong)]
