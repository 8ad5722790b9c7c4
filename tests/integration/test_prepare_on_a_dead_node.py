"""The pod that prepares is on a node that dies, and a real API server keeps it, since no kubelet confirms its end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane
from cluster.rest import Body, Rest
from cluster.simulated_nodes import HOLD, SimulatedNode
from cluster.waiting import wait_until
from support.fault_proxy import FaultProxy
from support.operator_jobs import job
from support.operator_process import started
from support.results_claim import provide_results

MERGE = "application/merge-patch+json"
BY_TYPE = "application/strategic-merge-patch+json"
SILENT = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "nobody answers"}


class Scene:
    """A namespace with two nodes for a job that is being prepared."""

    def __init__(self, server: Rest, namespace: str) -> None:
        self.server, self.namespace = server, namespace
        self.jobs = f"/apis/finetune.dev/v1alpha1/namespaces/{namespace}/finetunejobs"
        provide_results(server, namespace)
        for number in range(2):
            node = SimulatedNode(f"{namespace}-{number}", labels={"pool": namespace})
            server.send("POST", "/api/v1/nodes", node.body()).accepted()

    def pod(self) -> Body:
        """The pod that prepares; empty while there is none."""
        found = self.server.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return dict(found[0]) if found else {}

    def running(self, *, not_uid: str = "") -> bool:
        """Whether it runs, and is not the one with this uid."""
        pod = self.pod()
        return bool(pod) and pod["metadata"]["uid"] != not_uid and pod["status"].get("phase") == "Running"

    def die(self, node: str) -> None:
        """A node dies: no end of a pod on it is ever confirmed, and of each Kubernetes says that it is not ready."""
        pod = f"/api/v1/namespaces/{self.namespace}/pods/{self.pod()['metadata']['name']}"
        for path in (pod, f"/api/v1/nodes/{node}"):
            self.server.send("PATCH", path, {"metadata": {"annotations": {HOLD: "down"}}}, MERGE).accepted()
        silent = {"status": {"conditions": [SILENT]}}
        self.server.send("PATCH", f"/api/v1/nodes/{node}/status", silent, MERGE).accepted()
        stranded = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        self.server.send("PATCH", f"{pod}/status", stranded, BY_TYPE).accepted()

    def remove_nodes(self) -> None:
        """Leave nothing to later tests."""
        for number in range(2):
            self.server.send("DELETE", f"/api/v1/nodes/{self.namespace}-{number}")


@pytest.mark.timeout(300)
def test_the_data_is_prepared_on_another_node(
    simulated_cluster: ControlPlane, new_namespace: Callable[[ControlPlane], str], tmp_path: Path
) -> None:
    scene = Scene(simulated_cluster.rest(), new_namespace(simulated_cluster))
    proxy = FaultProxy.to(simulated_cluster.admin)
    selector = {"pool": scene.namespace}
    manifest = job(prepare={"nodeSelector": selector}) | {"metadata": {"name": "arc-easy"}}
    with proxy.serving(), started(tmp_path, proxy, "--namespace", scene.namespace):
        scene.server.send("POST", scene.jobs, manifest).accepted()
        wait_until(scene.running, scene.pod)
        first = scene.pod()
        scene.die(first["spec"]["nodeName"])
        wait_until(lambda: scene.running(not_uid=first["metadata"]["uid"]), scene.pod, 180)
        assert scene.pod()["spec"]["nodeName"] != first["spec"]["nodeName"]
        status = scene.server.get(f"{scene.jobs}/arc-easy")["status"]
        assert (status["prepareDisruptions"], status.get("restarts", 0)) == (1, 0)
    scene.remove_nodes()
