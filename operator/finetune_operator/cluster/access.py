"""Where the API server is and how it is spoken to, and the same read from inside a cluster."""

import os
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from finetune_operator.cluster.errors import LoginError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_CHECK: Final = 10.0
"""Seconds between looks at a token's file; tokens are renewed long before they expire."""

Authorization = Callable[[], str | None]
"""Returns the `Authorization` header of the next request; None without one."""


@dataclass(frozen=True)
class Access:
    """Everything that a connection needs."""

    server: str
    """URL without a path's final slash."""
    namespace: str = "default"
    """Where objects are when nobody says otherwise."""
    tls: ssl.SSLContext | None = None
    """None for http."""
    tls_name: str | None = None
    """Name in the server's certificate when it is not that of the URL."""
    authorization: Authorization = lambda: None
    proxy: str | None = None
    """None leaves it to the environment."""

    @cached_property
    def proxy_used(self) -> str | None:
        """The proxy on the way to the server: the one given, else the environment's (HTTPS_PROXY, NO_PROXY)."""
        # Looked up once: an HTTP library that is told to trust the environment reads it, and ~/.netrc, per request.
        url = urlsplit(self.server)
        if self.proxy is not None or proxy_bypass(url.hostname or ""):
            return self.proxy
        return getproxies().get(url.scheme)


Login = Callable[[], Access]
"""Reads everything anew; raises LoginError. It may block."""


class TokenFile:
    """A token that somebody renews in its file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._token, self._looked = read_text(path).strip(), clock()

    def __call__(self) -> str | None:
        """Return the header with the newest token."""
        if self._clock() - self._looked >= _TOKEN_CHECK:
            self._looked = self._clock()
            with suppress(LoginError):  # between two versions of a mounted file; the token in hand still works
                self._token = read_text(self._path).strip() or self._token
        return f"Bearer {self._token}"


def in_cluster(environment: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT) -> Access:
    """Return the access of a pod's service account; raises LoginError outside of a pod, or without an account."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise LoginError("this is not a pod (KUBERNETES_SERVICE_HOST is not set); give a kubeconfig")
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    namespace = directory / "namespace"
    return Access(
        server=server,
        namespace=read_text(namespace).strip() if namespace.exists() else "default",
        tls=tls_context(ca_file=directory / "ca.crt"),
        authorization=TokenFile(directory / "token"),
    )


def has_service_account(environment: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT) -> bool:
    """Tell whether this is a pod that may talk to its API server."""
    return bool(environment.get("KUBERNETES_SERVICE_HOST")) and (directory / "token").exists()


def tls_context(
    ca_file: Path | None = None, ca_data: str | None = None, *, verify: bool = True
) -> ssl.SSLContext:  # fmt: skip
    """Return what TLS needs to trust the server: a CA's file or text, else what the system trusts."""
    if ca_file is not None and not ca_file.is_file():
        raise LoginError(f"{ca_file}: this file with the cluster's certificate authority does not exist")
    try:
        context = ssl.create_default_context(cafile=ca_file and str(ca_file), cadata=ca_data)
    except (ssl.SSLError, ValueError) as error:
        raise LoginError(f"{ca_file or 'certificate-authority-data'}: not a certificate ({error})") from None
    # Clusters' own authorities often lack the extensions that OpenSSL asks for since Python 3.13.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def read_text(path: Path) -> str:
    """Return a file's text; raises LoginError that names it."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise LoginError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise LoginError(f"{path}: is not text") from None
