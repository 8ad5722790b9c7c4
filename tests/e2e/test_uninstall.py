"""The last of this folder's tests: Helm takes back all that it brought, but what `crds.keep` keeps."""

from cluster.kubectl import kubectl
from cluster.waiting import wait_until
from support.helm_release import RELEASE, SYSTEM, Release

_KINDS = "deployments,services,configmaps,serviceaccounts,roles,rolebindings,leases,networkpolicies,pods"
_CLUSTER_KINDS = "clusterroles,clusterrolebindings,validatingadmissionpolicies,customresourcedefinitions"


def _names(release: Release, *arguments: str) -> set[str]:
    listed = kubectl(release.kubeconfig, "get", *arguments, "-o", "name").split()
    return {name for name in listed if "finetune" in name}


def test_the_charts_own_test_passes(release: Release) -> None:
    assert "Phase:          Succeeded" in release.test()


def test_nothing_is_left_behind_but_what_is_kept_on_purpose(release: Release) -> None:
    before = _names(release, _CLUSTER_KINDS)
    assert len(before) > 3
    release.uninstall()
    wait_until(lambda: not _names(release, _KINDS, "--namespace", SYSTEM))
    kept = "customresourcedefinition.apiextensions.k8s.io/finetunejobs.finetune.dev"
    assert _names(release, _CLUSTER_KINDS) == {kept}
    kubectl(release.kubeconfig, "delete", "namespace", SYSTEM, "--timeout=110s")
    assert RELEASE not in kubectl(release.kubeconfig, "get", "secrets", "--all-namespaces", "-o", "name")
