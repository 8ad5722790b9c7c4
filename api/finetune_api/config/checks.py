"""Rules between keys, which no single key can break alone."""

from collections.abc import Callable, Iterator
from typing import Final

from finetune_api.config.data import Loader
from finetune_api.config.model import MPTCausalLM
from finetune_api.config.scheduler import schedule_problems
from finetune_api.config.training import TrainingConfig
from finetune_api.errors import ConfigInvalid, Problem

Check = Callable[[TrainingConfig], Iterator[Problem]]


def cross_problems(config: TrainingConfig, unusable: frozenset[str] = frozenset()) -> list[Problem]:
    """Return what is wrong between keys, leaving out rules about the top-level keys in `unusable`."""
    usable = (check for keys, check in _CHECKS if unusable.isdisjoint(keys))
    return [problem for check in usable for problem in check(config)]


def check_world(config: TrainingConfig, world_size: int) -> None:
    """Raise ConfigInvalid unless `world_size` ranks can share the global batch equally."""
    rows = config.global_train_batch_size
    if rows % world_size:
        shares = [ranks for ranks in range(1, rows + 1) if rows % ranks == 0]
        below = max(ranks for ranks in shares if ranks < world_size)
        problem = Problem(
            "global_train_batch_size",
            f"{rows} rows cannot be shared equally by {world_size} ranks",
            f"use a multiple of {world_size}, or {below} rank{'s' if below > 1 else ''}",
        )
        raise ConfigInvalid.of([problem])


def check_schedule(config: TrainingConfig, batches_per_epoch: int) -> None:
    """Raise ConfigInvalid when the schedule ends before the run, now that the data's length is known."""
    problems = list(schedule_problems(config.scheduler, config.max_duration, batches_per_epoch))
    if problems:
        raise ConfigInvalid.of(problems)


def _schedule(config: TrainingConfig) -> Iterator[Problem]:
    yield from schedule_problems(config.scheduler, config.max_duration)


def _evaluations(config: TrainingConfig) -> Iterator[Problem]:
    if config.eval_loader and config.eval_loaders:
        yield Problem("eval_loaders", "given beside eval_loader", "keep one of them")
    seen: set[str] = set()
    for path, loader, listed in _eval_loaders(config):
        label = loader.label or "eval"
        if listed and loader.label is None:
            yield Problem(f"{path}.label", "required key is missing", "loaders in a list are told apart by it")
        elif label == "train" or label in seen:
            yield Problem(f"{path}.label", f"{label} is taken", "give each evaluation a label of its own")
        seen.add(label)
        if "split" not in loader.dataset.model_fields_set:
            yield Problem(f"{path}.dataset.split", "required key is missing")


def _eval_loaders(config: TrainingConfig) -> Iterator[tuple[str, Loader, bool]]:
    """Yield each evaluation's path, loader, and whether it stands in a list."""
    for key in ("eval_loader", "eval_loaders"):
        loaders = getattr(config, key)
        if isinstance(loaders, list):
            yield from ((f"{key}[{index}]", loader, True) for index, loader in enumerate(loaders))
        elif loaders is not None:
            yield key, loaders, False


def _early_stopper(config: TrainingConfig) -> Iterator[Problem]:
    stopper = config.callbacks.early_stopper
    labels = config.eval_loaders_by_label
    if stopper and stopper.dataloader_label not in labels:
        yield Problem(
            "callbacks.early_stopper.dataloader_label",
            f"no evaluation is called {stopper.dataloader_label}",
            f"there is {', '.join(labels)}" if labels else "give an eval_loader",
        )


def _heads(config: TrainingConfig) -> Iterator[Problem]:
    model = config.model
    if isinstance(model, MPTCausalLM) and model.d_model % model.n_heads:
        yield Problem("model.n_heads", f"{model.n_heads} heads do not divide d_model, {model.d_model}")


def _folders(config: TrainingConfig) -> Iterator[Problem]:
    checkpointer = config.callbacks.hf_checkpointer
    folders = {
        "save_folder": config.save_folder,
        "load_path": config.load_path,
        "callbacks.hf_checkpointer.save_folder": checkpointer.save_folder if checkpointer else None,
    }
    for path, folder in folders.items():
        if folder and ("://" in folder or folder.startswith("dbfs:")):
            yield Problem(path, f"{folder} is not a directory", "mount the storage and name its directory")


_CHECKS: Final[tuple[tuple[frozenset[str], Check], ...]] = (
    (frozenset({"scheduler", "max_duration"}), _schedule),
    (frozenset({"eval_loader", "eval_loaders"}), _evaluations),
    (frozenset({"eval_loader", "eval_loaders", "callbacks"}), _early_stopper),
    (frozenset({"model"}), _heads),
    (frozenset({"save_folder", "load_path", "callbacks"}), _folders),
)
