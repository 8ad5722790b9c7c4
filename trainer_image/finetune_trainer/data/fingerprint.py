"""Says what the prepared rows depend on, with the standard library alone: an unchanged start stays quick."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune_trainer.data.hub_errors import is_local
from finetune_trainer.data.user_code import search_roots

FORMAT = 2
"""Raised when the same inputs are written differently."""

_LIBRARIES = ("datasets", "jinja2", "tokenizers", "transformers")
_TOKENIZER_SUFFIXES = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".py", ".bpe")
_CONFIG_KEYS = ("model_type", "tokenizer_class", "auto_map")
_NO_MODULES = ("__pycache__", "node_modules", "site-packages", "dist-packages")


def digest(value: object) -> str:
    """Return the SHA-256 of a JSON-able value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what makes rows into tokens, without importing it."""
    found = {"format": str(FORMAT), "python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def tokenizer_identity(name: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a tokenizer: its files, or its hub name and commit."""
    options = {key: value for key, value in kwargs.items() if key != "token"}
    if Path(name).is_dir():
        return {"files": dict(_tokenizer_files(Path(name))), "kwargs": options}
    return {"name": name, "commit": hub_commit("models", name, kwargs.get("revision")), "kwargs": options}


def template_gives_date(name: str, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether the tokenizer's chat template writes today's date."""
    directory = Path(name) if Path(name).is_dir() else hub_snapshot("models", name, kwargs.get("revision"))
    if "strftime_now" in str(kwargs.get("chat_template")):
        return True
    if directory is None:
        return False
    files = [
        directory / "tokenizer_config.json",
        *directory.rglob("*.jinja"),
        directory / "chat_template.json",
    ]
    return any(b"strftime_now" in file.read_bytes() for file in files if file.is_file())


def code_identity(spec: str, code_dir: Path | None) -> dict[str, str]:
    """Return the hash of every module in the code directory and beside the one that is named."""
    top = spec.partition(":")[0].partition(".")[0]
    roots = {root for root in [code_dir, _root_of(top, code_dir)] if root is not None}
    return {str(path.relative_to(root)): hash_file(path) for root in roots for path in _modules(root, top)}


def hub_commit(kind: str, name: str, revision: str | None) -> str | None:
    """Return the commit that the local hub cache has for a revision; None when it has none."""
    reference = _hub_cache() / f"{kind}--{name.replace('/', '--')}" / "refs" / (revision or "main")
    return reference.read_text().strip() if reference.is_file() else revision


def hub_snapshot(kind: str, name: str, revision: str | None) -> Path | None:
    """Return the directory of a repository in the local hub cache; None when it is not there, or `name` is a path."""
    commit = None if is_local(name) else hub_commit(kind, name, revision)
    path = _hub_cache() / f"{kind}--{name.replace('/', '--')}" / "snapshots" / (commit or "")
    return path if commit and path.is_dir() else None


def _tokenizer_files(directory: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(directory.rglob("*")):
        if path.suffix not in _TOKENIZER_SUFFIXES or path.name.endswith(".index.json") or not path.is_file():
            continue
        if path.name == "config.json":
            document = json.loads(path.read_text(encoding="utf-8"))
            yield path.name, digest({key: document.get(key) for key in _CONFIG_KEYS})
        elif path.name != "generation_config.json":
            yield str(path.relative_to(directory)), hash_file(path)


def _hub_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    hub = os.environ.get("HF_HOME") or f"{home}/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or f"{hub}/hub").expanduser()


def _root_of(top: str, code_dir: Path | None) -> Path | None:
    for root in [*search_roots(code_dir), *(Path(entry).absolute() for entry in sys.path)]:
        if (root / f"{top}.py").is_file() or (root / top).is_dir():
            return root
    return None


def _modules(root: Path, top: str) -> list[Path]:
    # A module that lies among everything (an environment, a home, the root) does not depend on all of it.
    if root.name in _NO_MODULES or root in (Path("/"), Path.home()):
        return sorted([*root.glob(f"{top}.py"), *(root / top).rglob("*.py")])
    found = []
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".") and name not in _NO_MODULES]
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        found += [Path(directory, name) for name in files if name.endswith(".py")]
    return sorted(found)
