"""What `helm test` runs in the cluster, against servers that answer well, badly or not at all."""

import http.server
import json
import runpy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.charts import CHART, only, render

SCRIPT = CHART / "files" / "check_install.py"
READY = {"/readyz": ""}


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, str]], str]]:
    """Serves these pages, and 503 for all others; returns the address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(pages: dict[str, str]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path in pages else 503)
                self.end_headers()
                self.wfile.write(pages.get(self.path, "").encode())

            def log_request(self, *_: object) -> None:
                """Say nothing."""

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _judged(address: str, resources: list[str] | None) -> str | None:
    """Run the script with an API server that serves these resources under the group; None: not the group."""
    script: dict[str, Any] = runpy.run_path(str(SCRIPT))
    body = json.dumps({"resources": [{"name": name} for name in resources or []]}).encode()

    def answer(path: str) -> bytes:
        assert path == "/apis/finetune.dev/v1alpha1"
        if resources is None:
            raise OSError("HTTP Error 404: Not Found")
        return body

    script["main"].__globals__["ask_api_server"] = answer
    said: str | None = script["main"](f"{address}/readyz")
    return said


def test_a_ready_operator_and_a_served_resource_are_all_it_asks_for(serve: Callable[[dict[str, str]], str]) -> None:
    assert _judged(serve(READY), ["finetunejobs", "finetunejobs/status"]) is None


def test_an_operator_that_is_not_ready_is_named_with_its_address(serve: Callable[[dict[str, str]], str]) -> None:
    address = serve({})
    assert f"The operator is not ready: {address}/readyz: HTTP Error 503" in str(_judged(address, ["finetunejobs"]))


def test_an_operator_that_is_away_is_named_too() -> None:
    assert "The operator is not ready: http://127.0.0.1:9/readyz" in str(_judged("http://127.0.0.1:9", []))


@pytest.mark.parametrize("resources", [None, [], ["others"]])
def test_a_missing_resource_is_named_with_the_value_that_brings_it(
    serve: Callable[[dict[str, str]], str], resources: list[str] | None
) -> None:
    assert "crds.install=true" in str(_judged(serve(READY), resources))


def test_the_pod_runs_this_script_on_the_address_of_the_health_port() -> None:
    objects = render("ports.health=8090")
    script, address = only(objects, "Pod")["spec"]["containers"][0]["args"]
    assert script.strip() == SCRIPT.read_text(encoding="utf-8").strip()
    service = only(objects, "Service")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert address == f"http://{host}:8090/readyz"
    assert {"name": "health", "port": 8090, "targetPort": "health"} in service["spec"]["ports"]
