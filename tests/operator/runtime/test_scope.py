"""Which part of the cluster is looked after."""

from finetune_operator.runtime.scope import Scope


def test_without_namespaces_it_is_the_whole_cluster_in_one_list() -> None:
    scope = Scope()
    assert (scope.cluster_wide, scope.places(), scope.fields()) == (True, (None,), None)


def test_chosen_namespaces_are_listed_one_by_one() -> None:
    scope = Scope(namespaces=("a", "b"))
    assert (scope.cluster_wide, scope.places()) == (False, ("a", "b"))


def test_namespaces_that_are_left_to_others_are_never_sent() -> None:
    assert Scope(excluded=("a", "b")).fields() == "metadata.namespace!=a,metadata.namespace!=b"
