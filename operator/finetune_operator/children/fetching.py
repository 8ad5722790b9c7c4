"""What has to be fetched from outside before the data can be prepared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from finetune_api.config import HFCausalLM, TrainingConfig
from finetune_api.job import FinetuneJobSpec
from finetune_api.job.volumes import Source

_FORMATS: Final = frozenset({"json", "csv", "parquet", "text", "arrow"})
"""Names of readers of local files; any other name that is no path is a dataset of the hub."""


@dataclass(frozen=True)
class Fetch:
    """One thing to fetch."""

    what: str
    """dataset, model, hub-dataset, hub-model or hub-tokenizer."""
    uri: str
    revision: str | None = None
    secret: str | None = None


def fetches_of(spec: FinetuneJobSpec, config: TrainingConfig) -> tuple[Fetch, ...]:
    """Return what is fetched, each thing once."""
    parts = (("dataset", spec.dataset), ("model", spec.model))
    sources = [_of_source(what, part.source) for what, part in parts if part is not None and part.source is not None]
    return tuple(dict.fromkeys([*sources, *_of_hub(config)]))


def _of_source(what: str, source: Source) -> Fetch:
    return Fetch(what, source.uri, source.revision, source.secret_ref.name if source.secret_ref else None)


def _of_hub(config: TrainingConfig) -> list[Fetch]:
    model = config.model
    found = []
    if isinstance(model, HFCausalLM) and _is_hub_name(model.pretrained_model_name_or_path):
        found.append(Fetch("hub-model", model.pretrained_model_name_or_path, model.revision))
    if _is_hub_name(config.tokenizer.name):
        found.append(Fetch("hub-tokenizer", config.tokenizer.name, _revision(config.tokenizer.kwargs)))
    loaders = [config.train_loader, *config.eval_loaders_by_label.values()]
    datasets = [loader.dataset for loader in loaders]
    return [
        *found,
        *(
            Fetch("hub-dataset", dataset.hf_name, _revision(dataset.hf_kwargs))
            for dataset in datasets
            if dataset.hf_name not in _FORMATS and _is_hub_name(dataset.hf_name)
        ),
    ]


def _revision(kwargs: Mapping[str, Any]) -> str | None:
    revision = kwargs.get("revision")
    return str(revision) if revision else None


def _is_hub_name(name: str) -> bool:
    return not name.startswith(("/", "."))
