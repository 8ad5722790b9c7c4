"""Servers that stand for the hub, for S3 and Google Cloud Storage, and for any web server: small, local, countable."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "a" * 40


@dataclass
class Answer:
    """What a server says."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Send so many bytes of the body and hang up."""


class Source:
    """What a fake serves; subclasses say how, `failures` are given first."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.failures: list[Answer] = []
        self.seen: list[str] = []
        self.authorizations: set[str | None] = set()

    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> Answer:
        """Return the answer to a GET, or to a HEAD, whose body is then left out."""
        raise NotImplementedError


class FakeHub(Source):
    """Repositories with one commit each; a file is `models/OWNER/NAME/PATH` or `datasets/OWNER/NAME/PATH`."""

    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> Answer:
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            return self._api("/".join(parts[1:4]), parts[4:])
        kind = "datasets" if parts[0] == "datasets" else "models"
        owner, name, _, commit, *inside = parts[1:] if kind == "datasets" else parts
        content = self.files.get("/".join([kind, owner, name, *inside]))
        if content is None or commit not in (COMMIT, "main"):
            return Answer(404, headers={"X-Error-Code": "EntryNotFound"})
        tag = hashlib.sha1(content).hexdigest()
        return Answer(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})

    def _api(self, repository: str, rest: list[str]) -> Answer:
        paths = [path.removeprefix(f"{repository}/") for path in self.files if path.startswith(f"{repository}/")]
        if not paths:
            return Answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["tree"]:
            tree = [{"type": "file", "path": path, **self._blob(f"{repository}/{path}")} for path in paths]
            return _json(tree)
        if rest[1:] and rest[1] not in ("main", COMMIT):
            return Answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": path} for path in paths]
        return _json({"id": repository.partition("/")[2], "sha": COMMIT, "siblings": siblings, "private": False})

    def _blob(self, path: str) -> dict[str, Any]:
        content = self.files[path]
        return {"oid": hashlib.sha1(content).hexdigest(), "size": len(content)}


class FakeS3(Source):
    """Buckets; a file is `BUCKET/KEY`."""

    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> Answer:
        name = path.strip("/")
        if "list-type" in query:
            return self._list(name, query.get("prefix", [""])[0])
        content = self.files.get(name)
        if content is None:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return _part(content, headers, {"ETag": _tag(content)})

    def _list(self, bucket: str, prefix: str) -> Answer:
        keys = [path.removeprefix(f"{bucket}/") for path in self.files if path.startswith(f"{bucket}/{prefix}")]
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(content)}</Size><ETag>{_tag(content)}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
            if (content := self.files[f"{bucket}/{key}"]) is not None
        )
        body = f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return Answer(200, body.encode(), {"Content-Type": "application/xml"})


class FakeGcs(Source):
    """Buckets of Google's; a file is `BUCKET/KEY`."""

    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> Answer:
        bucket, _, key = path.partition("/b/")[2].partition("/o")
        if not key:
            prefix = f"{bucket}/{query.get('prefix', [''])[0]}"
            return _json({"items": [self._item(name) for name in self.files if name.startswith(prefix)]})
        name = f"{bucket}/{key.lstrip('/')}"
        if name not in self.files:
            return Answer(404, b"{}")
        if query.get("alt") == ["media"]:
            return _part(self.files[name], headers, {})
        return _json(self._item(name))

    def _item(self, name: str) -> dict[str, Any]:
        bucket, _, key = name.partition("/")
        content = self.files[name]
        return {"bucket": bucket, "name": key, "size": str(len(content)), "etag": _tag(content)}


class FakeWeb(Source):
    """Any web server."""

    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> Answer:
        content = self.files.get(path.strip("/"))
        if content is None:
            return Answer(404)
        return _part(content, headers, {"ETag": _tag(content)})


@contextmanager
def serving(source: Source, context: SSLContext | None = None) -> Iterator[str]:
    """Serve on a free port and give the address; `context` makes it https."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(source))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler_of(source: Source) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            source.seen.append(f"{self.command} {parts.path}")
            source.authorizations.add(self.headers.get("Authorization"))
            if source.failures:
                return self._send(source.failures.pop(0))
            return self._send(source.answer(unquote(parts.path), parse_qs(parts.query), dict(self.headers)))

        do_HEAD = do_GET  # noqa: N815  # its base's name

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut_after])
            if answer.cut_after is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its base's name
            pass

    return Handler


def _part(content: bytes, headers: Mapping[str, str], more: Mapping[str, str]) -> Answer:
    wanted = headers.get("Range")
    if wanted is None:
        return Answer(200, content, more)
    start, _, end = wanted.removeprefix("bytes=").partition("-")
    first, last = int(start), min(int(end or len(content) - 1), len(content) - 1)
    if first >= len(content):
        return Answer(416)
    return Answer(206, content[first : last + 1], {**more, "Content-Range": f"bytes {first}-{last}/{len(content)}"})


def _json(document: object) -> Answer:
    return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'
