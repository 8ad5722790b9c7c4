"""The operator's rights are the list written down here, and no others."""

from typing import Any

import pytest

from support.charts import CHOSEN, CLUSTER_NAME, EVERYTHING, NAME, NAMESPACE, of_kind, only, operator_pod, render

READ = ["get", "list", "watch"]
IN_A_NAMESPACE = [
    ("finetune.dev", ["finetunejobs"], [*READ, "delete"]),
    ("finetune.dev", ["finetunejobs/status"], ["get", "patch"]),
    ("finetune.dev", ["finetunejobs/finalizers"], ["update"]),
    ("", ["pods"], [*READ, "create", "delete"]),
    ("", ["services", "configmaps"], ["get", "list", "create", "delete"]),
    ("", ["persistentvolumeclaims"], ["get", "list", "create"]),
    ("networking.k8s.io", ["networkpolicies"], ["get", "list", "create", "delete"]),
    ("events.k8s.io", ["events"], ["create", "patch"]),
]
NODES = ("", ["nodes"], READ)
GANGS = {"Volcano": "scheduling.volcano.sh", "Coscheduling": "scheduling.x-k8s.io"}


def _rules(role: dict[str, Any]) -> list[tuple[str, list[str], list[str]]]:
    return [(rule["apiGroups"][0], rule["resources"], rule["verbs"]) for rule in role["rules"]]


def test_in_the_whole_cluster_the_operator_has_these_rights() -> None:
    assert _rules(only(render(), "ClusterRole", CLUSTER_NAME)) == [*IN_A_NAMESPACE, NODES]


def test_in_chosen_namespaces_it_has_a_role_in_each_and_sees_no_nodes() -> None:
    objects = render(*CHOSEN)
    roles = of_kind(objects, "Role", CLUSTER_NAME)
    assert [role["metadata"]["namespace"] for role in roles] == ["team-a", "team-b"]
    assert all(_rules(role) == IN_A_NAMESPACE for role in roles)
    assert of_kind(objects, "ClusterRoleBinding") == []
    assert NODES not in [rule for role in of_kind(objects, "ClusterRole") for rule in _rules(role)]


def test_in_chosen_namespaces_nothing_of_the_cluster_is_needed() -> None:
    objects = render(*CHOSEN, "crds.install=false", "rbac.aggregateToUserRoles=false")
    assert [one["kind"] for one in objects if "namespace" not in one["metadata"]] == []


def test_it_may_touch_its_own_lease_only() -> None:
    role = only(render(), "Role", f"{NAME}-lease")
    assert role["metadata"]["namespace"] == NAMESPACE
    own, any_name = role["rules"]
    assert (own["resourceNames"], own["verbs"]) == ([NAME], ["get", "update"])
    assert any_name["verbs"] == ["create"]
    assert f"--lease={NAMESPACE}/{NAME}" in operator_pod()["containers"][0]["args"]


@pytest.mark.parametrize("gang", GANGS)
def test_it_may_create_pod_groups_only_of_the_schedulers_that_are_named(gang: str) -> None:
    rules = _rules(only(render(f"rbac.gangSchedulers={{{gang}}}"), "ClusterRole", CLUSTER_NAME))
    groups = [rule for rule in rules if rule[1] == ["podgroups"]]
    assert groups == [(GANGS[gang], ["podgroups"], ["get", "list", "create", "delete"])]


@pytest.mark.parametrize("values", [EVERYTHING, (*EVERYTHING, *CHOSEN)], ids=["cluster", "chosen"])
def test_nobody_gets_secrets_or_everything(values: tuple[str, ...]) -> None:
    objects = render(*values)
    for role in [*of_kind(objects, "ClusterRole"), *of_kind(objects, "Role")]:
        for rule in role["rules"]:
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"*", "secrets", "bind", "escalate", "impersonate"} & set(words), role["metadata"]["name"]


@pytest.mark.parametrize("values", [(), CHOSEN], ids=["cluster", "chosen"])
def test_every_binding_gives_one_role_of_its_namespace_to_the_operators_account(values: tuple[str, ...]) -> None:
    objects = render(*values)
    for binding in [*of_kind(objects, "ClusterRoleBinding"), *of_kind(objects, "RoleBinding")]:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]
        roles = of_kind(objects, binding["roleRef"]["kind"], binding["roleRef"]["name"])
        where = binding["metadata"].get("namespace")
        assert where in [role["metadata"].get("namespace") for role in roles]


def test_people_who_view_or_edit_a_namespace_view_or_edit_its_jobs_but_not_their_status() -> None:
    objects = render()
    view, edit = (only(objects, "ClusterRole", f"{CLUSTER_NAME}-{word}") for word in ("view", "edit"))
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert _rules(view) == [("finetune.dev", ["finetunejobs", "finetunejobs/status"], READ)]
    change = ["create", "update", "patch", "delete", "deletecollection"]
    assert _rules(edit) == [("finetune.dev", ["finetunejobs"], change)]


def test_two_releases_in_two_namespaces_share_no_object_of_the_cluster() -> None:
    flags = ("crds.install=false", "admissionPolicy.enabled=true")

    def names(space: str) -> set[tuple[str, str]]:
        found = (one for one in render(*flags, namespace=space) if "namespace" not in one["metadata"])
        return {(one["kind"], one["metadata"]["name"]) for one in found}

    assert names("one").isdisjoint(names("two"))
