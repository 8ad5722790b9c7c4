from pathlib import Path

import pytest

from cluster.binaries import ToolMissing
from cluster.existing import ExistingCluster
from cluster.provider import chosen


def _no() -> bool:
    return False


def _yes() -> bool:
    return True


def test_kind_is_taken_where_it_works_and_the_machine_itself_where_not() -> None:
    assert chosen({}, _yes) == "kind"
    assert chosen({}, _no) == "local"


def test_a_kubeconfig_alone_is_nobodys_permission_to_use_that_cluster() -> None:
    assert chosen({"KUBECONFIG": "/home/me/production"}, _no) == "local"


def test_a_provider_that_was_named_is_taken_unasked() -> None:
    assert chosen({"FINETUNE_TEST_CLUSTER": "existing"}, _yes) == "existing"


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ToolMissing, match="minikube is none of local, kind, existing"):
        chosen({"FINETUNE_TEST_CLUSTER": "minikube"}, _yes)


def test_an_existing_cluster_needs_to_know_which_images_it_can_pull(tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    environment = {"KUBECONFIG": str(tmp_path / "config"), "FINETUNE_TEST_OPERATOR_IMAGE": "r.example.com/o:1"}
    with pytest.raises(ToolMissing, match="FINETUNE_TEST_TRAINER_IMAGE not set"):
        ExistingCluster.from_environment(environment)


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolMissing, match="/nowhere/config; name one with KUBECONFIG"):
        ExistingCluster.from_environment({"KUBECONFIG": "/nowhere/config"})
