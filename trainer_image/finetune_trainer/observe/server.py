"""The small HTTP server of rank 0.

Training must not notice its clients: each connection has a thread of its own, at most `MAX_CLIENTS` are
served at once, and one that is not finished after `CLIENT_SECONDS` is cut off, however slowly it drips.
"""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from finetune_trainer.observe.metrics import exposition, registry_of
from finetune_trainer.observe.state import RunState

MAX_CLIENTS = 16
CLIENT_SECONDS = 5.0
POLL_SECONDS = 0.25


class Server:
    """A running server; `port` is the one it listens on."""

    def __init__(self, http: "_HttpServer") -> None:
        self._http = http
        self.port: int = http.server_address[1]
        self._thread = threading.Thread(
            target=http.serve_forever, args=(POLL_SECONDS,), name="progress-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut every client off; returns within a second, and may be called twice."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=1.0)


def serve(state: RunState, port: int, host: str = "0.0.0.0", *, client_seconds: float = CLIENT_SECONDS) -> Server:
    """Serve `/progress` and `/metrics` of `state` in the background; port 0 picks a free one.

    Raises OSError when the port is taken.
    """
    return Server(_HttpServer(state, (host, port), client_seconds))


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: RunState, address: tuple[str, int], client_seconds: float) -> None:
        self.state = state
        self._client_seconds = client_seconds
        self.registry = registry_of(state)
        self._deadlines: dict[socket.socket, float] = {}
        self._clients = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._clients:
            welcome = len(self._deadlines) < MAX_CLIENTS
            if welcome:
                self._deadlines[request] = time.monotonic() + self._client_seconds
        if welcome:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._clients:
            self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off the clients whose time is up; called by `serve_forever` between its polls."""
        self._cut_off(time.monotonic())

    def server_close(self) -> None:
        self._cut_off(float("inf"))
        super().server_close()

    def _cut_off(self, now: float) -> None:
        with self._clients:
            late = [request for request, deadline in self._deadlines.items() if deadline <= now]
        for request in late:
            try:
                request.shutdown(socket.SHUT_RDWR)  # wakes its thread, which then ends and closes it
            except OSError:
                continue  # gone by itself meanwhile

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not worth a traceback among the run's messages."""


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/progress":
            body = json.dumps(self.server.state.snapshot(), allow_nan=False).encode()
            self._answer(200, "application/json", body)
        elif path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, exposition(self.server.registry))
        else:
            self._answer(404, "text/plain; charset=utf-8", b"There are /progress and /metrics here.\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its base's name
        """Requests are not written to the run's log."""
