"""Kubeconfig files, with everything inside, so that they can be handed to another machine or into a pod."""

import base64
import json
from pathlib import Path
from typing import Any

from cluster.pki import KeyPair

Credentials = KeyPair | str
"""A client certificate, or a bearer token."""


def write_kubeconfig(path: Path, server: str, authority: bytes, credentials: Credentials, namespace: str) -> Path:
    """Write a kubeconfig with one context, which is the current one; JSON is YAML."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority-data": _text(authority)}}],
        "users": [{"name": "user", "user": _user(credentials)}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "user", "namespace": namespace}}],
        "current-context": "tests",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return path


def _user(credentials: Credentials) -> dict[str, Any]:
    if isinstance(credentials, str):
        return {"token": credentials}
    key, certificate = _text(credentials.key), _text(credentials.certificate)
    return {"client-certificate-data": certificate, "client-key-data": key}


def _text(pem: bytes) -> str:
    return base64.b64encode(pem).decode("ascii")
