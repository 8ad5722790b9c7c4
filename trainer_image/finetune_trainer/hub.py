"""Turns the many errors of a model or tokenizer that cannot be loaded into one outcome with one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune_api.errors import ModelUnavailable, Retryable, RunError
from finetune_trainer.data.hub_errors import HubFailure, hub_failure, is_local


@contextmanager
def explained_hub_errors(kind: str, name: str) -> Iterator[None]:
    """Raise ModelUnavailable, or Retryable for a network that may recover, for whatever loading `name` raises."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:  # transformers raises a dozen unrelated types for files it cannot use
        raise _explained(kind, name, error) from error


def _explained(kind: str, name: str, error: Exception) -> RunError:
    what = f"{kind} {name!r}"
    if is_local(name) and not Path(name).is_dir():
        return ModelUnavailable(f"{what}: no such directory.", hint="Check the path.")
    match hub_failure(error):
        case HubFailure.GATED:
            hint = "Accept its licence on the hub, and log in with a token that may read it."
            return ModelUnavailable(f"{what}: access is gated.", hint=hint)
        case HubFailure.OFFLINE:
            hint = "Give a local directory, or allow hub access to download it."
            return ModelUnavailable(f"{what}: not in the local cache, and hub access is off.", hint=hint)
        case HubFailure.NETWORK:
            return Retryable(f"{what}: the hub cannot be reached.")
        case HubFailure.MISSING:
            return ModelUnavailable(f"{what}: neither a local directory nor on the hub.", hint="Check the name.")
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelUnavailable(f"{what}: {first_line}", hint="Check the name, the revision and the files.")
