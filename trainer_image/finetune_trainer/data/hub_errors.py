"""Tells why something could not be fetched from a hub: missing, gated, offline, or a network that may recover."""

import os
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path


class HubFailure(Enum):
    """Why the hub gave nothing."""

    MISSING = auto()
    GATED = auto()
    OFFLINE = auto()
    NETWORK = auto()


# By name, so that asking imports none of the libraries that raise them.
_BY_NAME = {
    "GatedRepoError": HubFailure.GATED,
    "RepositoryNotFoundError": HubFailure.MISSING,
    "RevisionNotFoundError": HubFailure.MISSING,
    "DatasetNotFoundError": HubFailure.MISSING,
    "OfflineModeIsEnabled": HubFailure.OFFLINE,
    "TransportError": HubFailure.NETWORK,
    "LocalEntryNotFoundError": HubFailure.NETWORK,
    "ConnectionError": HubFailure.NETWORK,
}
# What a hub says outweighs that it could not be asked again.
_CERTAIN = (HubFailure.GATED, HubFailure.MISSING, HubFailure.OFFLINE)


def hub_failure(error: BaseException) -> HubFailure | None:
    """Return what the error, or one that led to it, says about the hub; None when it says nothing."""
    chain = list(error_chain(error))
    # A class says more than a status: 401 may be a private repository as well as one that does not exist.
    found = [failure for link in chain if (failure := _by_class(link))]
    found = found or [failure for link in chain if (failure := _by_status(link))]
    certain = next((failure for failure in _CERTAIN if failure in found), None)
    if certain or not found:
        return certain
    return HubFailure.OFFLINE if is_offline() else HubFailure.NETWORK


def looks_like_path(name: str) -> bool:
    """Tell whether a name can only be a path: a hub name has at most one slash and no leading dot."""
    return name.startswith(("/", ".", "~")) or name.count("/") > 1 or name.endswith("/")


def is_local(name: str) -> bool:
    """Tell whether a name stands for a directory rather than for something on a hub."""
    return looks_like_path(name) or Path(name).is_dir()


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Return the error and every error that led to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]


def _by_class(error: BaseException) -> HubFailure | None:
    names = [cls.__name__ for cls in type(error).__mro__]
    if "DatasetNotFoundError" in names and "gated dataset" in str(error):
        return HubFailure.GATED  # `datasets` drops the error that led to this one
    return next((_BY_NAME[name] for name in names if name in _BY_NAME), None)


def _by_status(error: BaseException) -> HubFailure | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if not isinstance(status, int):
        return None
    if status == 404:
        return HubFailure.MISSING
    return HubFailure.NETWORK if status == 429 or status >= 500 else HubFailure.GATED


def is_offline() -> bool:
    """Tell whether hub access is switched off."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)
