"""Plain HTTP to an API server: what it answers, unchanged, for tests of exactly that."""

import base64
import contextlib
import http.client
import json
import ssl
import tempfile
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from cluster.kubeconfig import Credentials
from cluster.pki import KeyPair

Body = dict[str, Any]

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Answer:
    """One answer, whether it is good or bad."""

    code: int
    body: Body
    warnings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """What the server says about a refusal."""
        return str(self.body.get("message", ""))

    def accepted(self) -> Body:
        """Return the body; raises AssertionError with the server's words when it refused."""
        if self.code >= http.client.BAD_REQUEST:
            raise AssertionError(f"{self.code}: {self.message}")
        return self.body


class Rest:
    """Requests to one server as one user, each on a connection of its own."""

    def __init__(self, url: str, authority: bytes | None = None, credentials: Credentials | None = None) -> None:
        self._address = urllib.parse.urlsplit(url)
        self._context = _context(authority, credentials) if authority else None
        self._headers = {"Authorization": f"Bearer {credentials}"} if isinstance(credentials, str) else {}

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """Read the first cluster and user of a kubeconfig that this package wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"])
        credentials: Credentials = user.get("token", "")
        if not credentials:
            certificate, key = user["client-certificate-data"], user["client-key-data"]
            credentials = KeyPair(base64.b64decode(certificate), base64.b64decode(key))
        return cls(cluster["server"], authority, credentials)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, content: str = JSON) -> Answer:
        """Send one request and return the answer; raises OSError when there is none."""
        payload = None if body is None else json.dumps(body)
        headers = {"Content-Type": content, "Accept": JSON, **self._headers}
        with contextlib.closing(self._connect()) as connection:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            return Answer(response.status, _body(response.read()), tuple(response.headers.get_all("Warning") or ()))

    def get(self, path: str) -> Body:
        """Return what is at `path`; raises AssertionError when the server refuses."""
        return self.send("GET", path).accepted()

    def answers(self, path: str) -> bool:
        """Say whether somebody answers there, and well; never raises."""
        with contextlib.suppress(http.client.HTTPException, OSError):
            return self.send("GET", path).code == http.client.OK
        return False

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._context is None:
            return http.client.HTTPConnection(host, port, timeout=_SECONDS)
        return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=self._context)


def _body(raw: bytes) -> Body:
    try:
        return dict(json.loads(raw))
    except (ValueError, TypeError):
        return {"message": raw.decode("utf-8", "replace")}  # health endpoints answer with text


def _context(authority: bytes, credentials: Credentials | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.decode("ascii"))
    if isinstance(credentials, KeyPair):
        with tempfile.NamedTemporaryFile() as file:  # OpenSSL reads a client's certificate from files only
            file.write(credentials.certificate + credentials.key)
            file.flush()
            context.load_cert_chain(file.name)
    return context
