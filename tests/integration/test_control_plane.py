"""What tests rely on in the control plane itself: who may do what, and how simulated pods live and end."""

import http.client
from typing import Any

import pytest

from cluster.control_plane import ControlPlane
from cluster.rest import Body, Rest
from cluster.simulated_nodes import EXIT_CODE, LAST_WORDS, RUN_FOR, SimulatedNode
from cluster.waiting import wait_until
from finetune_operator.seen_pod import moment

PODS = "/api/v1/namespaces/default/pods"
READER: dict[str, Any] = {
    "metadata": {"name": "reader"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
}


def allow(server: Rest, name: str, subject: Body) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    server.send("POST", f"{rbac}/roles", READER)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    server.send("POST", f"{rbac}/rolebindings", binding).accepted()


def assert_may_only_read_pods(somebody: Rest) -> None:
    assert somebody.send("GET", PODS).code == http.client.OK
    answer = somebody.send("DELETE", PODS)
    assert answer.code == http.client.FORBIDDEN
    assert "cannot deletecollection resource" in answer.message


def test_a_user_may_do_what_the_roles_of_a_group_say(api_server: ControlPlane) -> None:
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}
    allow(api_server.rest(), "readers", subject)
    assert_may_only_read_pods(api_server.rest(api_server.user_kubeconfig("jane", ["readers"])))


def test_a_service_account_may_do_what_its_roles_say(api_server: ControlPlane) -> None:
    account = {"metadata": {"name": "operator"}}
    api_server.rest().send("POST", "/api/v1/namespaces/default/serviceaccounts", account).accepted()
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": "default"}
    allow(api_server.rest(), "operator", subject)
    assert_may_only_read_pods(api_server.rest(api_server.service_account_kubeconfig("operator", "default")))


def ended(plane: ControlPlane, name: str, annotations: dict[str, str]) -> Body:
    server = plane.rest()
    spec = {"restartPolicy": "Never", "containers": [{"name": "trainer", "image": "example.com/trainer:1"}]}
    pod = {"metadata": {"name": name, "annotations": annotations}, "spec": spec}
    server.send("POST", PODS, pod).accepted()

    def status() -> Body:
        return dict(server.get(f"{PODS}/{name}")["status"])

    wait_until(lambda: status()["phase"] in ("Succeeded", "Failed"), status)
    return status()


@pytest.mark.parametrize(("code", "phase"), [("0", "Succeeded"), ("75", "Failed")])
def test_a_simulated_pod_ends_as_it_was_told(simulated_cluster: ControlPlane, code: str, phase: str) -> None:
    node = SimulatedNode(f"ending-{code}").body()
    simulated_cluster.rest().send("POST", "/api/v1/nodes", node).accepted()
    words = '{"outcome": "succeeded", "message": "1: \\"x\\""}'
    told = {RUN_FOR: "1s", EXIT_CODE: code, LAST_WORDS: words}
    status = ended(simulated_cluster, f"ending-{code}", told)
    end = status["containerStatuses"][0]["state"]["terminated"]
    began, finished = moment(end["startedAt"]), moment(end["finishedAt"])
    assert began is not None
    assert finished is not None
    assert (status["phase"], end["exitCode"], end["message"]) == (phase, int(code), words)
    assert (finished - began).total_seconds() >= 1


def test_a_simulated_pod_goes_when_it_is_deleted(simulated_cluster: ControlPlane) -> None:
    server = simulated_cluster.rest()
    server.send("POST", "/api/v1/nodes", SimulatedNode("leaving").body()).accepted()
    ended(simulated_cluster, "leaving", {RUN_FOR: "0s"})
    server.send("DELETE", f"{PODS}/leaving").accepted()
    wait_until(lambda: server.send("GET", f"{PODS}/leaving").code == http.client.NOT_FOUND)
