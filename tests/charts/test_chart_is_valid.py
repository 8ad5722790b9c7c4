"""The chart's objects are what Kubernetes accepts, with every set of values."""

from collections.abc import Callable

import pytest

from support.charts import CHART, CHOSEN, EVERYTHING, helm, render, render_text

_NODE_TERM = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"

VALUES = {
    "defaults": (),
    "everything": EVERYTHING,
    "chosen namespaces": (*EVERYTHING, *CHOSEN),
    "bare": ("crds.install=false", "tests.enabled=false", "rbac.create=false", "serviceAccount.create=false"),
    "placed": (
        "priorityClassName=system-cluster-critical",
        "nodeSelector.pool=system",
        "tolerations[0].key=dedicated",
        "tolerations[0].operator=Exists",
        f"{_NODE_TERM}.matchExpressions[0].key=a",
        f"{_NODE_TERM}.matchExpressions[0].operator=Exists",
        "topologySpreadConstraints[0].maxSkew=1",
        "topologySpreadConstraints[0].topologyKey=zone",
        "topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy.example.com",
        "imagePullSecrets[0].name=registry",
        "podAnnotations.team=ml",
        "commonLabels.team=ml",
        "podLabels.tier=system",
        "serviceAccount.annotations.team=ml",
        "monitoring.dashboard.enabled=true",
        "monitoring.dashboard.annotations.folder=ml",
    ),
    "openshift": (
        "podSecurityContext.runAsUser=null",
        "podSecurityContext.runAsGroup=null",
        "settings.pods.runAsUser=null",
    ),
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_kubeconform_finds_nothing_wrong(values: tuple[str, ...], mistakes: Callable[[str], str]) -> None:
    assert mistakes(render_text(*values)) == ""


def test_kubeconform_finds_a_field_that_does_not_exist(mistakes: Callable[[str], str]) -> None:
    text = render_text().replace("serviceAccountName:", "serviceAcountName:")
    assert "serviceAcountName" in mistakes(text)


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_helm_lint_finds_nothing_to_say(values: tuple[str, ...]) -> None:
    done = helm("lint", "--strict", str(CHART), *(flag for value in values for flag in ("--set", value)))
    assert done.returncode == 0, done.stdout
    assert "0 chart(s) failed" in done.stdout


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_no_object_is_rendered_twice(values: tuple[str, ...]) -> None:
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in render(*values)]
    assert len(names) == len(set(names))


def test_every_object_outside_the_cluster_scope_says_its_namespace() -> None:
    scoped = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    scoped |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for one in render(*EVERYTHING):
        assert ("namespace" in one["metadata"]) == (one["kind"] not in scoped), one["metadata"]["name"]


def test_a_long_release_name_still_gives_names_that_fit() -> None:
    done = helm("template", "r" * 53, str(CHART), "--namespace", "n" * 63)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("  name: ")]
    assert max(len(line) for line in lines) <= len("  name: ") + 253
