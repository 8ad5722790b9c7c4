"""The chart on a real API server: what it accepts, what the operator and people may do, and what stays afterwards."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.control_plane import ControlPlane, Parts
from cluster.kubectl import KubectlFailed, kubectl
from cluster.required import cluster_required
from support.charts import CHART, CLUSTER_NAME, EVERYTHING, NAME, NAMESPACE, RELEASE, Body, helm
from support.shell import ROOT

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{NAME}"
TEAM = "team-a"
SECRET = "hub-token"
VALUES = [value for value in EVERYTHING if "Monitor" not in value]
"""Monitors need the Prometheus operator's resources."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without FinetuneJobs; its controllers create pods, which nothing runs."""
    with cluster_required():
        plane = ControlPlane(tmp_path_factory.mktemp("chart"), Parts(controllers=True)).__enter__()
    try:
        for name in (NAMESPACE, TEAM):
            plane.kubectl("create", "namespace", name)
        enforce = "pod-security.kubernetes.io/enforce=restricted"
        plane.kubectl("label", "namespace", NAMESPACE, enforce)
        yield plane
    finally:
        plane.__exit__()


def _helm(plane: ControlPlane, *arguments: str) -> str:
    done = helm(*arguments, "--namespace", NAMESPACE, "--kubeconfig", str(plane.admin))
    assert done.returncode == 0, done.stderr
    return done.stdout


def _install(plane: ControlPlane, *values: str) -> str:
    flags = [flag for value in (*VALUES, *values) for flag in ("--set", value)]
    done = _helm(plane, "upgrade", "--install", RELEASE, str(CHART), *flags)
    plane.kubectl("wait", "--for=condition=Established", "--timeout=110s", "crd/finetunejobs.finetune.dev")
    return done


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> ControlPlane:
    """The control plane with the chart installed."""
    _install(plane)
    return plane


def _eventually(check: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


def _items(plane: ControlPlane, *arguments: str) -> list[Body]:
    found: list[Body] = json.loads(plane.kubectl("get", *arguments, "--output=json"))["items"]
    return found


def _job(name: str, **spec: Any) -> Body:
    claim = {"volume": {"persistentVolumeClaim": {"claimName": "out"}}}
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {"config": {"max_duration": "1ep"}, "output": claim, **spec},
    }


def test_a_namespace_that_enforces_restricted_lets_the_operators_pods_in(installed: ControlPlane) -> None:
    labels = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator"
    _eventually(lambda: len(_items(installed, "pods", "--namespace", NAMESPACE, "--selector", labels)) == 2)


def test_a_namespace_that_enforces_restricted_lets_the_test_pod_in(installed: ControlPlane) -> None:
    manifest = next(text for text in _helm(installed, "get", "hooks", RELEASE).split("\n---\n") if "kind: Pod" in text)
    installed.kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest)


ALLOWED = {
    "watch finetunejobs.finetune.dev": True,
    "delete finetunejobs.finetune.dev": True,
    "patch finetunejobs.finetune.dev --subresource=status": True,
    "create pods": True,
    "delete pods": True,
    "list nodes": True,
    "create persistentvolumeclaims": True,
    "create events.events.k8s.io": True,
    "update finetunejobs.finetune.dev": False,
    "create finetunejobs.finetune.dev": False,
    "delete persistentvolumeclaims": False,
    "get secrets": False,
    "list secrets": False,
    "create serviceaccounts --subresource=token": False,
    "create pods --subresource=exec": False,
    "patch pods": False,
    "delete nodes": False,
    "get leases.coordination.k8s.io": False,
    "create rolebindings.rbac.authorization.k8s.io": False,
}


@pytest.mark.parametrize(("question", "answer"), ALLOWED.items())
def test_the_operator_may_do_this_in_a_users_namespace(installed: ControlPlane, question: str, answer: bool) -> None:
    assert _may(installed, ACCOUNT, question, TEAM) is answer


def test_the_operator_may_hold_its_own_lease_only(installed: ControlPlane) -> None:
    assert _may(installed, ACCOUNT, f"update leases.coordination.k8s.io/{NAME}", NAMESPACE)
    assert not _may(installed, ACCOUNT, "update leases.coordination.k8s.io/another", NAMESPACE)


def test_who_edits_or_views_a_namespace_edits_or_views_its_jobs(installed: ControlPlane) -> None:
    for role in ("edit", "view"):
        installed.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}or", "-n", TEAM)
    _eventually(lambda: _may(installed, "editor", "create finetunejobs.finetune.dev", TEAM))
    _eventually(lambda: _may(installed, "viewor", "watch finetunejobs.finetune.dev", TEAM))
    assert not _may(installed, "viewor", "create finetunejobs.finetune.dev", TEAM)
    assert not _may(installed, "editor", "patch finetunejobs.finetune.dev --subresource=status", TEAM)


def _may(plane: ControlPlane, user: str, question: str, namespace: str) -> bool:
    try:
        said = plane.kubectl("auth", "can-i", *question.split(), "--as", user, "--namespace", namespace)
    except KubectlFailed as failed:
        said = str(failed)
    return "yes" in said


@pytest.fixture(scope="module")
def alice(installed: ControlPlane) -> Path:
    """Somebody who may create jobs and read one Secret; the policy is in force."""
    installed.kubectl("create", "role", "jobs", "--verb=create,get,patch", "--resource=finetunejobs", "-n", TEAM)
    installed.kubectl("create", "role", "own", "--verb=get", "--resource=secrets", "--resource-name=own", "-n", TEAM)
    for role in ("jobs", "own"):
        installed.kubectl("create", "rolebinding", f"alice-{role}", f"--role={role}", "--user=alice", "-n", TEAM)
    user = installed.user_kubeconfig("alice")
    _eventually(lambda: "(probe)" in _tried(user, _job("probe", imagePullSecrets=[{"name": "probe"}])))
    return user


def _tried(user: Path, job: Body) -> str:
    """Return what is said to a job that is only tried; empty when it would be accepted."""
    try:
        kubectl(user, "create", "--dry-run=server", "-f", "-", stdin=job)
    except KubectlFailed as failed:
        return str(failed)
    return ""


def _env(name: str) -> list[Body]:
    return [{"name": "A", "value": "1"}, {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}]


USES: dict[str, Callable[[str], Body]] = {
    "dataset": lambda name: {"dataset": {"source": {"uri": "hf://a/b", "secretRef": {"name": name}}}},
    "model": lambda name: {"model": {"source": {"uri": "hf://a/b", "secretRef": {"name": name}}}},
    "image": lambda name: {"imagePullSecrets": [{"name": name}]},
    "variable": lambda name: {"podTemplate": {"env": _env(name)}},
    "sidecar": lambda name: {
        "podTemplate": {"sidecars": [{"name": "a", "image": "a"}, {"name": "b", "image": "b", "env": _env(name)}]}
    },
}


@pytest.mark.parametrize("spec", USES.values(), ids=USES)
def test_a_job_may_use_a_secret_only_when_its_author_may_read_it(alice: Path, spec: Callable[[str], Body]) -> None:
    said = _tried(alice, _job("job", **spec(SECRET)))
    assert "alice may not read every Secret that" in said
    assert f"{SECRET}); ask for the right to get them, or name others" in said
    assert _tried(alice, _job("job", **spec("own"))) == ""


def test_a_job_without_secrets_needs_no_right_on_them(alice: Path) -> None:
    assert _tried(alice, _job("job")) == ""
    assert _tried(alice, _job("job", dataset={"source": {"uri": "hf://a/b"}}, podTemplate={"env": []})) == ""


def test_who_may_not_read_a_secret_may_still_suspend_the_job_that_uses_it(alice: Path, installed: ControlPlane) -> None:
    installed.kubectl("create", "-f", "-", stdin=_job("admins", **USES["dataset"](SECRET)))
    patch = '{"spec": {"runPolicy": {"suspend": true}}}'
    kubectl(alice, "patch", "finetunejob", "admins", "-n", TEAM, "--type=merge", f"--patch={patch}")
    swap = json.dumps({"spec": USES["dataset"]("other")})
    with pytest.raises(KubectlFailed, match="dataset cannot change"):
        kubectl(alice, "patch", "finetunejob", "admins", "-n", TEAM, "--type=merge", f"--patch={swap}")


def test_an_upgrade_touches_neither_jobs_nor_who_leads_and_an_uninstall_leaves_only_what_is_kept(
    plane: ControlPlane,
) -> None:
    _install(plane)
    job = json.loads(plane.kubectl("create", "-f", "-", "--output=json", stdin=_job("kept")))
    held = '{"spec": {"holderIdentity": "pod-1", "leaseDurationSeconds": 15}}'
    plane.kubectl("patch", "lease", NAME, "-n", NAMESPACE, "--type=merge", f"--patch={held}")

    _install(plane, "settings.timing.survivorGrace=7", "image.tag=v2")
    lease = json.loads(plane.kubectl("get", "lease", NAME, "-n", NAMESPACE, "--output=json"))
    assert lease["spec"]["holderIdentity"] == "pod-1"
    assert json.loads(plane.kubectl("get", "finetunejob", "kept", "-n", TEAM, "--output=json")) == job

    _helm(plane, "uninstall", RELEASE, "--wait")
    assert _leftovers(plane) == []
    assert json.loads(plane.kubectl("get", "finetunejob", "kept", "-n", TEAM, "--output=json")) == job

    _install(plane)
    _helm(plane, "uninstall", RELEASE, "--wait")


def _leftovers(plane: ControlPlane) -> list[str]:
    """Return every object that speaks of the release, and all that is in its namespace but what every namespace has."""
    kinds = plane.kubectl("api-resources", "--verbs=list", "--output=name").split()
    skipped = ("events", "events.events.k8s.io", "apiservices.apiregistration.k8s.io")
    found = _items(plane, ",".join(kind for kind in kinds if kind not in skipped), "--all-namespaces")
    names = [f"{one['kind']} {one['metadata']['name']}" for one in found if _ours(one)]
    ignored = ("ConfigMap kube-root-ca.crt", "ServiceAccount default", f"Namespace {NAMESPACE}")
    return [name for name in names if name not in (*ignored, "CustomResourceDefinition finetunejobs.finetune.dev")]


def _ours(one: Body) -> bool:
    metadata = one["metadata"]
    labels = metadata.get("labels") or {}
    return (
        metadata.get("namespace") == NAMESPACE
        or CLUSTER_NAME in metadata["name"]
        or labels.get("app.kubernetes.io/part-of") == "finetune-operator"
        or "finetune" in metadata["name"]
    )


def test_without_keep_nothing_stays_at_all(plane: ControlPlane) -> None:
    _install(plane, "crds.keep=false")
    _helm(plane, "uninstall", RELEASE, "--wait")
    _eventually(lambda: "finetunejobs" not in plane.kubectl("get", "crds", "--output=name"))


def test_the_kustomize_base_is_accepted_too(plane: ControlPlane) -> None:
    place = ROOT / "charts" / "kustomize" / "example"
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-k", place)
    pods = ("pods", "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/component=operator")
    _eventually(lambda: len(_items(plane, *pods)) == 1)
