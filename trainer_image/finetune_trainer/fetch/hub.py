"""Repositories of the hub: into a directory of their own, or into the cache from which libraries load them by name."""

import shutil
from pathlib import Path
from typing import Any

from finetune_api.errors import Retryable
from finetune_trainer.data.hub_errors import HubFailure, hub_failure
from finetune_trainer.fetch.explaining import explained, first_line
from finetune_trainer.fetch.patience import telling_size, with_retries
from finetune_trainer.fetch.request import Request

_TOKENIZER = ["*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.bpe", "*.py"]
_OTHER_FORMATS = ["original/*", "onnx/*", "openvino/*", "coreml/*", "consolidated*"]
_PATTERNS: dict[str, dict[str, list[str]]] = {
    "model": {"allow_patterns": [*_TOKENIZER, "*.safetensors"], "ignore_patterns": _OTHER_FORMATS},
    "tokenizer": {"allow_patterns": _TOKENIZER, "ignore_patterns": [*_OTHER_FORMATS, "*.index.json"]},
    "dataset": {},
}
"""Only safetensors are ever read, and the same weights in other formats would double what is fetched."""


class HubRepository:
    """A repository, or a directory or file of it, as `hf://[datasets/|models/]OWNER/NAME[/PATH]` names it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._kind = "dataset" if request.what == "dataset" else "model"
        parts = request.uri.removeprefix("hf://").removeprefix(f"{self._kind}s/").strip("/").split("/")
        self._name, self._inside = "/".join(parts[:2]), "/".join(parts[2:])
        self._commit: str | None = None

    def version(self) -> str:
        """Return the commit that the revision stands for now."""
        from huggingface_hub import HfApi

        with explained(self._request, _explanation):
            info = HfApi().repo_info(self._name, repo_type=self._kind, revision=self._request.revision)
        self._commit = str(info.sha)
        return self._commit

    def download(self, directory: Path) -> None:
        """Fetch the files of that commit."""
        from huggingface_hub import snapshot_download

        patterns: dict[str, Any] = dict(_PATTERNS[self._kind])
        if self._inside:
            patterns["allow_patterns"] = [self._inside, f"{self._inside}/*"]
        with explained(self._request, _explanation):
            snapshot_download(self._name, repo_type=self._kind, revision=self._commit, local_dir=directory, **patterns)
        shutil.rmtree(directory / ".cache", ignore_errors=True)
        if self._inside:
            self._lift(directory)
        if not any(directory.iterdir()):
            raise self._request.missing()

    def _lift(self, directory: Path) -> None:
        """Move what lies in the wanted directory to the top, so that a source is mounted without its path."""
        found = directory / self._inside
        wanted = [*found.iterdir()] if found.is_dir() else [found] if found.is_file() else []
        for path in wanted:
            if path.parent != directory:
                path.replace(directory / path.name)
        kept = {path.name for path in wanted}
        for path in directory.iterdir():
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def fetch_into_cache(request: Request, cache: Path) -> None:
    """Put what is loaded by a name of the hub into the hub's cache, where libraries find it offline."""
    from huggingface_hub import snapshot_download

    kind = request.what.removeprefix("hub-")
    patterns: dict[str, Any] = _PATTERNS[kind]
    repository = "dataset" if kind == "dataset" else "model"

    def fetch() -> None:
        with explained(request, _explanation):
            snapshot_download(request.uri, repo_type=repository, revision=request.revision, cache_dir=cache, **patterns)

    cache.mkdir(parents=True, exist_ok=True)
    with telling_size(request.shown, cache):
        with_retries(fetch)
    print(f"{request.what} {request.shown}: is in the cache", flush=True)


def _explanation(request: Request, error: Exception) -> Exception:
    match hub_failure(error):
        case HubFailure.GATED:
            return request.denied("gated or private")
        case HubFailure.MISSING:
            return request.missing()
        case HubFailure.OFFLINE:
            return request.failure("hub access is off", "Take HF_HUB_OFFLINE out of the environment.")
        case HubFailure.NETWORK:
            return Retryable(f"{request.shown}: the hub cannot be reached ({first_line(error)})")
    if type(error).__name__ == "HFValidationError":
        return request.failure("this is not the name of a repository", "Write OWNER/NAME.")
    return error
