"""A pod that shall not be on some nodes is kept from them, whatever affinity its job has."""

from typing import Any

import pytest

from finetune_api.job.policies import REQUIRED
from finetune_operator.children.avoidance import avoiding
from finetune_operator.children.training_pods import Terms, build_training_pods
from support.blueprints import blueprint

ZONE = {"key": "zone", "operator": "In", "values": ["a"]}
HOST = {"key": "metadata.name", "operator": "In", "values": ["gpu-1"]}
NOT_7 = {"key": "metadata.name", "operator": "NotIn", "values": ["gpu-7"]}
NOT_8 = {"key": "metadata.name", "operator": "NotIn", "values": ["gpu-8"]}


def terms(affinity: dict[str, Any]) -> Any:
    """The terms of which one has to hold."""
    return affinity["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]


def test_without_nodes_to_avoid_nothing_is_added() -> None:
    assert avoiding({}, ()) == {}


def test_each_node_is_a_requirement_of_its_own() -> None:
    assert terms(avoiding({}, ["gpu-7", "gpu-8"])) == [{"matchFields": [NOT_7, NOT_8]}]


def test_every_term_of_the_job_has_to_hold_it_since_one_of_them_is_enough() -> None:
    given = {"nodeSelectorTerms": [{"matchExpressions": [ZONE]}, {"matchFields": [HOST]}]}
    affinity = {"podAffinity": {"x": 1}, "nodeAffinity": {REQUIRED: given, "preferred": []}}
    found = avoiding(affinity, ["gpu-7"])
    assert terms(found) == [{"matchExpressions": [ZONE], "matchFields": [NOT_7]}, {"matchFields": [HOST, NOT_7]}]
    assert found["podAffinity"] == {"x": 1}
    assert found["nodeAffinity"]["preferred"] == []
    assert terms(affinity) == given["nodeSelectorTerms"], "the job's own is not touched"


@pytest.mark.parametrize("empty", [[], [{}]])
def test_what_holds_nowhere_is_not_made_to_hold_somewhere(empty: list[Any]) -> None:
    assert terms(avoiding({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": empty}}}, ["gpu-7"])) == empty


def test_pods_are_built_with_what_their_attempt_was_granted() -> None:
    (pod,) = build_training_pods(blueprint(scheduling={"topologyKey": "rack"}), 3, 1, Terms(300, ("gpu-7",)))
    assert terms(pod["spec"]["affinity"]) == [{"matchFields": [NOT_7]}]
    assert pod["spec"]["affinity"]["podAffinity"][REQUIRED]
    command = pod["spec"]["containers"][0]["command"]
    assert (pod["spec"]["terminationGracePeriodSeconds"], command[command.index("--grace") + 1]) == (300, "295")
