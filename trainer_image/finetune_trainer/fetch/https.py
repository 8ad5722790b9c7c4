"""One file behind an https address, continued where it broke off."""

import hashlib
import re
import uuid
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener
from urllib.request import Request as HttpRequest

from finetune_api.errors import Retryable, RunError
from finetune_trainer.fetch.patience import require_room
from finetune_trainer.fetch.request import Request

_SILENCE_SECONDS = 60.0
_PIECE = 1 << 20
_PASSING = (408, 425, 429)


class HttpsFile:
    """What an https address gives; proxies and certificates are those of the environment."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._opener = build_opener(_HttpsOnly())

    def version(self) -> str:
        """Return a hash of what the server says of the file; of one that says nothing, a new one each time."""
        with self._open() as answer:
            facts = [answer.headers.get(name) for name in ("ETag", "Last-Modified", "Content-Length")]
        told = repr(facts) if facts[0] or facts[1] else uuid.uuid4().hex
        return hashlib.sha256(told.encode()).hexdigest()

    def download(self, directory: Path) -> None:
        """Fetch the file, or what is still missing of it."""
        file = directory / _file_name(self._request.uri)
        aside = file.with_name(f".{file.name}.part")
        if not file.exists():
            self._receive(aside)
            aside.replace(file)

    def _receive(self, aside: Path) -> None:
        have = aside.stat().st_size if aside.exists() else 0
        with self._open(have) as answer:
            continues = answer.status == 206 and _begins_at(answer.headers) == have
            have = have if continues else 0
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else None
            require_room(aside.parent, int(length or 0))
            with aside.open("ab" if continues else "wb") as file:
                have += self._copy(answer, file)
        if total is not None and have != total:
            raise Retryable(f"{self._request.shown}: the connection ended after {have} of {total} bytes")

    def _copy(self, answer: Any, file: IO[bytes]) -> int:
        count = 0
        try:
            while piece := answer.read(_PIECE):
                file.write(piece)
                count += len(piece)
        except (HTTPException, TimeoutError, ConnectionError) as error:
            raise self._unreachable(error) from error
        return count

    def _open(self, start: int = 0) -> Any:
        headers = {"User-Agent": "finetune-operator", **({"Range": f"bytes={start}-"} if start else {})}
        try:
            return self._opener.open(HttpRequest(self._request.uri, headers=headers), timeout=_SILENCE_SECONDS)
        except HTTPError as error:
            if error.code == 416 and start:  # all of it is here, or it is another file now
                return self._open()
            raise self._refused(error.code) from error
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise self._unreachable(error) from error

    def _refused(self, status: int) -> RunError:
        if status in (401, 403, 407):
            return self._request.denied(f"HTTP {status}")
        if status in (404, 410):
            return self._request.missing()
        if status in _PASSING or status >= 500:
            return Retryable(f"{self._request.shown}: the server answers HTTP {status}")
        return self._request.failure(f"the server answers HTTP {status}", "Check the address.")

    def _unreachable(self, error: Exception) -> RunError:
        reason = getattr(error, "reason", error)
        hint = None
        if "certificate" in str(reason).lower():
            hint = "Name the authority's certificate in SSL_CERT_FILE of the operator's fetch environment."
        return Retryable(f"{self._request.shown}: cannot be reached ({reason})", hint=hint)


class _HttpsOnly(HTTPRedirectHandler):
    """Follows redirects, but never to where anybody on the way could read or change the file."""

    def redirect_request(
        self, req: HttpRequest, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> HttpRequest | None:
        if urlsplit(newurl).scheme != "https":
            raise URLError("it redirects to an address that is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _file_name(uri: str) -> str:
    name = unquote(urlsplit(uri).path).rstrip("/").rpartition("/")[2].lstrip(".")
    return re.sub(r"[^\w.+=-]", "_", name) or "data"


def _begins_at(headers: HTTPMessage) -> int | None:
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range") or "")
    return int(found[1]) if found else None
