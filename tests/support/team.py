"""A namespace of a control plane with a simulated node, and what people, and the node itself, ask of the API server."""

import http.client
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from cluster.control_plane import ControlPlane
from cluster.rest import JSON, MERGE_PATCH, Answer, Body
from cluster.simulated_nodes import SimulatedNode
from finetune_api.names import JOB_UID_LABEL
from support.operator_jobs import inline_job
from support.results_claim import provide_results


class Away(Exception):
    """The API server is away, or too busy: whether it did what it was asked for nobody knows."""


class Team:
    """A namespace with a volume for results and a node."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace, self.server = plane, namespace, plane.rest()
        self.jobs = f"/apis/finetune.dev/v1alpha1/namespaces/{namespace}/finetunejobs"
        self.core = f"/api/v1/namespaces/{namespace}"
        provide_results(self.server, self.namespace)
        self.node = f"{namespace}-node"
        node = SimulatedNode(self.node).body()
        node["status"]["conditions"] = _ready()
        self._send("POST", "/api/v1/nodes", node).accepted()

    def beat(self) -> None:
        """The node shows that it lives; without that it would be lost after 50 s."""
        self._send("PATCH", f"/api/v1/nodes/{self.node}/status", {"status": {"conditions": _ready()}}, MERGE_PATCH)

    def remove_node(self) -> None:
        """The node goes, before it is missed."""
        with suppress(Away):  # what the test found counts more
            self._send("DELETE", f"/api/v1/nodes/{self.node}")

    def apply(self, name: str, **spec: Any) -> None:
        """Somebody creates a job, whose pods stay on the team's own node: those of other teams come and go."""
        manifest = inline_job(**spec, scheduling={"nodeSelector": {"kubernetes.io/hostname": self.node}})
        self._send("POST", self.jobs, {**manifest, "metadata": {"name": name}}).accepted()

    def status(self, name: str) -> Body:
        """What is said of a job."""
        return dict(self._get(f"{self.jobs}/{name}").get("status") or {})

    def statuses(self) -> dict[str, Body]:
        """What is said of all jobs."""
        found = self._get(self.jobs)["items"]
        return {job["metadata"]["name"]: dict(job.get("status") or {}) for job in found}

    def pods(self) -> list[Body]:
        """The pods of jobs."""
        return list(self._get(f"{self.core}/pods?labelSelector={JOB_UID_LABEL}")["items"])

    def events(self) -> Counter[tuple[str, str, str]]:
        """How often what was told about which job."""
        found = self._get(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events?limit=5000")["items"]
        told: Counter[tuple[str, str, str]] = Counter()
        for one in found:
            if one["regarding"]["kind"] == "FinetuneJob":
                key = one["regarding"]["name"], one["reason"], one["note"]
                told[key] += (one.get("series") or {}).get("count", 1)
        return told

    def annotate(self, pod: str, **annotations: str) -> None:
        """Tell the simulated kubelet what becomes of a pod."""
        body = {"metadata": {"annotations": annotations}}
        _if_there(self._send("PATCH", f"{self.core}/pods/{pod}", body, MERGE_PATCH))

    def delete_pod(self, pod: str) -> None:
        """Somebody deletes a pod."""
        _if_there(self._send("DELETE", f"{self.core}/pods/{pod}"))

    def suspend(self, job: str, value: bool) -> None:
        """Somebody suspends a job, or has it go on."""
        self._send("PATCH", f"{self.jobs}/{job}", {"spec": {"runPolicy": {"suspend": value}}}, MERGE_PATCH).accepted()

    def _get(self, path: str) -> Body:
        return self._send("GET", path).accepted()

    def _send(self, method: str, path: str, body: Body | None = None, content: str = JSON) -> Answer:
        """Send one request; raises Away when nobody has time for it."""
        try:
            answer = self.server.send(method, path, body, content)
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"{method} {path}: {error!r}") from error
        if answer.code == http.client.TOO_MANY_REQUESTS or answer.code >= http.client.INTERNAL_SERVER_ERROR:
            raise Away(f"{method} {path}: {answer.code}: {answer.message}")
        return answer


def _if_there(answer: Answer) -> None:
    """Accept that a pod is gone: it may be since the same was asked before, and no answer came."""
    if answer.code != http.client.NOT_FOUND:
        answer.accepted()


def _ready() -> list[Body]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [{"type": "Ready", "status": "True", "reason": "Simulated", "lastHeartbeatTime": now}]
