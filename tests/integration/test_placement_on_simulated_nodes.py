"""Where the real scheduler puts a job's pods, on nodes that advertise GPUs of several makers."""

import dataclasses
import http.client
import itertools
from typing import Any

import pytest

from cluster.control_plane import ControlPlane
from cluster.rest import Body
from cluster.simulated_nodes import SimulatedNode
from cluster.waiting import wait_until
from finetune_operator.children.training_pods import build_training_pods
from finetune_operator.seen_pod import SeenPod, seen_pod
from support.bad_jobs import CLAIM, job
from support.blueprints import blueprint

RACK = "topology.example.com/rack"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
NVIDIA, AMD = "nvidia.com/gpu", "amd.com/gpu"
_numbers = itertools.count()


class Pool:
    """Nodes of one test, and a namespace that enforces Pod Security *restricted*, with the volume jobs write to."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.plane, self.name, self.server = plane, name, plane.rest()
        self.core = f"/api/v1/namespaces/{name}"
        self.server.send("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": RESTRICTED}}).accepted()
        self._provide_volume()

    def add(self, name: str, **offers: Any) -> None:
        """Add a node."""
        labels = {"pool": self.name, **offers.pop("labels", {})}
        node = SimulatedNode(f"{self.name}-{name}", labels=labels, **offers)
        self.server.send("POST", "/api/v1/nodes", node.body()).accepted()

    def start(self, nodes: int, scheduling: Body | None = None, **spec: Any) -> str:
        """Create a job and the pods of its first attempt, once all nodes are ready, and return the job's uid."""
        wait_until(self._ready)
        spec |= {"nodes": nodes, "scheduling": {"nodeSelector": {"pool": self.name}, **(scheduling or {})}}
        manifest = {**job(**spec), "metadata": {"name": f"job-{next(_numbers)}"}}
        jobs = f"/apis/finetune.dev/v1alpha1/namespaces/{self.name}/finetunejobs"
        owner = self.server.send("POST", jobs, manifest).accepted()["metadata"]
        plan = dataclasses.replace(blueprint(**spec), namespace=self.name, name=owner["name"], uid=owner["uid"])
        for pod in build_training_pods(plan, attempt=0, nodes=nodes):
            answer = self.server.send("POST", f"{self.core}/pods", pod)
            assert answer.code == http.client.CREATED, answer.message
        return str(owner["uid"])

    def bodies(self, uid: str) -> list[Body]:
        """The pods of a job, by rank."""
        listed = self.server.get(f"{self.core}/pods?labelSelector=finetune.dev/job-uid={uid}")["items"]
        return sorted(listed, key=lambda body: str(body["metadata"]["name"]))

    def pods(self, uid: str) -> list[SeenPod]:
        """The same as the operator sees them."""
        return [pod for body in self.bodies(uid) if (pod := seen_pod(body))]

    def placed(self, uid: str) -> list[str]:
        """Wait until all pods of a job run, and return the names of their nodes without the pool's."""
        wait_until(lambda: all(pod.running for pod in self.pods(uid)), lambda: self.pods(uid))
        return [str(pod.node).removeprefix(f"{self.name}-") for pod in self.pods(uid)]

    def is_refused(self, uid: str, *words: str) -> None:
        """Wait until the scheduler says these words about why it does not place a job's first pod.

        Its first try may be made before it has seen all that there is.
        """

        def said() -> bool:
            wait = self.pods(uid)[0].wait
            return wait is not None and wait.reason == "Unschedulable" and all(word in wait.message for word in words)

        wait_until(said, lambda: self.pods(uid))

    def _ready(self) -> bool:
        # Until a new node has reported, it carries a taint.
        nodes = self.server.get(f"/api/v1/nodes?labelSelector=pool={self.name}")["items"]
        taints = [taint["key"] for node in nodes for taint in node["spec"].get("taints", [])]
        return "node.kubernetes.io/not-ready" not in taints

    def _provide_volume(self) -> None:
        claimed = CLAIM["persistentVolumeClaim"]["claimName"]
        size = {"storage": "1Gi"}
        volume = {
            "metadata": {"name": self.name},
            "spec": {
                "capacity": size,
                "accessModes": ["ReadWriteMany"],
                "hostPath": {"path": "/data"},
                "claimRef": {"namespace": self.name, "name": claimed},
            },
        }
        spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": size}, "storageClassName": ""}
        claim = {"metadata": {"name": claimed}, "spec": spec}
        self.server.send("POST", "/api/v1/persistentvolumes", volume).accepted()
        self.server.send("POST", f"{self.core}/persistentvolumeclaims", claim).accepted()


@pytest.fixture
def pool(simulated_cluster: ControlPlane) -> Pool:
    return Pool(simulated_cluster, f"pool-{next(_numbers)}")


@pytest.mark.parametrize(("device", "maker"), [(NVIDIA, "nvidia"), (AMD, "amd")])
def test_pods_go_where_gpus_of_their_maker_are(pool: Pool, device: str, maker: str) -> None:
    pool.add("cpu")
    for name, offered in (("nvidia", NVIDIA), ("amd", AMD)):
        pool.add(f"{name}-0", devices={offered: 8})
        pool.add(f"{name}-1", devices={offered: 8})
    nodes = pool.placed(pool.start(2, resources={"limits": {device: 8}}))
    assert sorted(nodes) == [f"{maker}-0", f"{maker}-1"]


def test_what_is_limited_is_requested_and_each_device_gets_a_process(pool: Pool) -> None:
    pool.add("gpus", devices={NVIDIA: 4})
    uid = pool.start(1, resources={"limits": {NVIDIA: 4, "memory": "8Gi"}, "requests": {"cpu": 2}})
    pool.placed(uid)
    (trainer,) = pool.bodies(uid)[0]["spec"]["containers"]
    assert trainer["resources"]["requests"][NVIDIA] == trainer["resources"]["limits"][NVIDIA] == "4"
    assert trainer["command"][trainer["command"].index("--nproc-per-node") + 1] == "4"


def test_two_jobs_share_a_node_as_long_as_its_devices_last(pool: Pool) -> None:
    pool.add("gpus", devices={NVIDIA: 4})
    half = {"limits": {NVIDIA: 2}}
    assert pool.placed(pool.start(1, resources=half)) == ["gpus"]
    assert pool.placed(pool.start(1, resources=half)) == ["gpus"]
    pool.is_refused(pool.start(1, resources=half), f"Insufficient {NVIDIA}")


def test_a_topology_key_keeps_the_pods_of_an_attempt_together(pool: Pool) -> None:
    for rack, number in itertools.product("abc", "012"):
        pool.add(f"{rack}-{number}", devices={NVIDIA: 8}, labels={RACK: rack})
    for _ in range(3):
        nodes = pool.placed(pool.start(3, {"topologyKey": RACK}, resources={"limits": {NVIDIA: 8}}))
        assert len({node[0] for node in nodes}) == 1


def test_a_taint_is_passed_by_pods_that_tolerate_it(pool: Pool) -> None:
    pool.add("gpus", devices={NVIDIA: 8}, taint=NVIDIA)
    resources = {"limits": {NVIDIA: 8}}
    pool.is_refused(pool.start(1, resources=resources), "untolerated taint")
    tolerant = {"tolerations": [{"key": NVIDIA, "operator": "Exists"}]}
    assert pool.placed(pool.start(1, tolerant, resources=resources)) == ["gpus"]


def test_a_job_that_fits_nowhere_says_so_and_runs_once_it_fits(pool: Pool) -> None:
    pool.add("small", devices={NVIDIA: 4})
    uid = pool.start(1, resources={"limits": {NVIDIA: 16}})
    pool.is_refused(uid, "nodes are available", f"Insufficient {NVIDIA}")
    pool.add("large", devices={NVIDIA: 16})
    assert pool.placed(uid) == ["large"]
