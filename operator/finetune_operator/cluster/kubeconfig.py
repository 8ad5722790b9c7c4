"""Reads kubeconfig files as kubectl does: several merged, one context of them chosen."""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from finetune_operator.cluster.access import Access, Authorization, TokenFile, read_text, tls_context
from finetune_operator.cluster.errors import LoginError
from finetune_operator.cluster.exec_plugin import run_plugin

Entry = dict[str, Any]

_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True)
class Kubeconfig:
    """What the files say together: of two entries with one name, and of two current contexts, the first counts."""

    files: tuple[Path, ...] = ()
    current_context: str | None = None
    clusters: Mapping[str, Entry] = field(default_factory=dict)
    users: Mapping[str, Entry] = field(default_factory=dict)
    contexts: Mapping[str, Entry] = field(default_factory=dict)


def kubeconfig_files(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the files to read: the one that is named, else those of KUBECONFIG, else the one in the home."""
    if path is not None:
        return (path,)
    named = [Path(name) for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    return tuple(named) or (Path.home() / ".kube" / "config",)


def log_in(path: Path | None = None, context: str | None = None) -> Access:
    """Return the access that a kubeconfig gives; raises LoginError that says what it lacks."""
    config = read_kubeconfig(kubeconfig_files(path), required=path is not None)
    return _access(config, context)


def read_kubeconfig(files: Sequence[Path], *, required: bool) -> Kubeconfig:
    """Merge the files; one that does not exist is passed over unless it is `required`."""
    config = Kubeconfig(files=tuple(files))
    for file in files:
        if required or file.exists():
            config = _merged(config, _document(file), file.parent)
    return config


def _document(file: Path) -> Entry:
    try:
        document = yaml.load(read_text(file), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise LoginError(f"{file}: is not YAML ({str(error).splitlines()[0]})") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise LoginError(f"{file}: is not a kubeconfig")
    return document


def _merged(config: Kubeconfig, document: Entry, base: Path) -> Kubeconfig:
    return replace(
        config,
        current_context=config.current_context or document.get("current-context") or None,
        clusters={**_entries(document, "clusters", "cluster", base), **config.clusters},
        users={**_entries(document, "users", "user", base), **config.users},
        contexts={**_entries(document, "contexts", "context", base), **config.contexts},
    )


def _entries(document: Entry, plural: str, single: str, base: Path) -> dict[str, Entry]:
    listed = document.get(plural) or []
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "name" in one for one in listed):
        raise LoginError(f"kubeconfig: {plural} is not a list of named entries")
    return {str(one["name"]): _with_paths(one.get(single) or {}, base) for one in reversed(listed)}


def _with_paths(entry: Entry, base: Path) -> Entry:
    """Paths in a kubeconfig are relative to its own directory."""
    found: Entry = {key: str(base / str(entry[key])) for key in _FILES if entry.get(key)}
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command", "")):
        found["exec"] = {**plugin, "command": str(base / plugin["command"])}
    return {**entry, **found}


def _access(config: Kubeconfig, name: str | None) -> Access:
    name = name or config.current_context
    if name is None:
        files = ", ".join(map(str, config.files))
        raise LoginError(f"no kubeconfig names a cluster (looked in {files}); set KUBECONFIG or --kubeconfig")
    context = _named(config.contexts, name, "context", config)
    cluster = _named(config.clusters, str(context.get("cluster")), "cluster", config)
    user = _named(config.users, str(context["user"]), "user", config) if context.get("user") else {}
    if not cluster.get("server"):
        raise LoginError(f"kubeconfig: the cluster of context {name} names no server")
    access = Access(
        server=str(cluster["server"]).rstrip("/"),
        namespace=str(context.get("namespace") or "default"),
        tls_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
    )
    return _with_user(_with_tls(access, cluster), user, cluster)


def _named(entries: Mapping[str, Entry], name: str, what: str, config: Kubeconfig) -> Entry:
    if name not in entries:
        files, known = ", ".join(map(str, config.files)), ", ".join(sorted(entries)) or "none"
        raise LoginError(f"{files}: there is no {what} {name} (known: {known})")
    return entries[name]


def _with_tls(access: Access, cluster: Entry) -> Access:
    if not access.server.startswith("https:"):
        return access
    data, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    context = tls_context(
        ca_file=Path(file) if file and not data else None,
        ca_data=_decoded(data, "certificate-authority-data") if data else None,
        verify=not cluster.get("insecure-skip-tls-verify"),
    )
    return replace(access, tls=context)


def _with_user(access: Access, user: Entry, cluster: Entry) -> Access:
    if isinstance(user.get("exec"), dict):
        credential = run_plugin(user["exec"], cluster)
        pair = credential.certificate, credential.key
        token = f"Bearer {credential.token}" if credential.token else None
        return _with_certificate(replace(access, authorization=lambda: token), *pair)
    certificate, key = _text(user, "client-certificate"), _text(user, "client-key")
    return _with_certificate(replace(access, authorization=_authorization(user)), certificate, key)


def _authorization(user: Entry) -> Authorization:
    if user.get("tokenFile"):
        return TokenFile(Path(user["tokenFile"]))
    header: str | None = None
    if user.get("token"):
        header = f"Bearer {user['token']}"
    elif user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        header = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif user.get("auth-provider"):
        raise LoginError("kubeconfig: auth-provider is no longer supported; use an exec plugin, as kubectl advises")
    return lambda: header


def _text(entry: Entry, key: str) -> str | None:
    if entry.get(f"{key}-data"):
        return _decoded(entry[f"{key}-data"], f"{key}-data")
    return read_text(Path(entry[key])) if entry.get(key) else None


def _decoded(data: object, key: str) -> str:
    try:
        return base64.b64decode(str(data), validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise LoginError(f"kubeconfig: {key} is not base64") from None


def _with_certificate(access: Access, certificate: str | None, key: str | None) -> Access:
    if access.tls is None or not certificate:
        return access
    if not key:
        raise LoginError("kubeconfig: there is a client-certificate without a client-key")
    # Python's ssl reads certificates from files only.
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as pem:
        pem.write(f"{certificate}\n{key}\n")
    try:
        access.tls.load_cert_chain(pem.name)
    except (ssl.SSLError, ValueError) as error:
        raise LoginError(f"kubeconfig: client-certificate and client-key do not fit ({error})") from None
    finally:
        with suppress(OSError):
            Path(pem.name).unlink()
    return access
