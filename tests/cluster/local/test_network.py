from pathlib import Path

from cluster.local.network import OURS, bridge_commands, without_ours
from cluster.local.site import Site

_DOCKER = """\
*filter
:INPUT ACCEPT [1:1]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
COMMIT
"""
_OURS = f'-A FORWARD -s 10.244.0.0/16 -m comment --comment "{OURS}" -j ACCEPT\n'
_SERVICES = ":KUBE-SERVICES - [0:0]\n-A INPUT -j KUBE-SERVICES\n"


def test_our_rules_and_those_of_services_go_and_others_stay() -> None:
    rules = _DOCKER.replace("-A FORWARD", f"{_SERVICES}{_OURS}-A FORWARD")
    assert without_ours(rules) == _DOCKER


def test_rules_without_ours_are_unchanged() -> None:
    assert without_ours(_DOCKER) == _DOCKER


def test_the_bridge_has_the_address_that_pods_use_as_gateway() -> None:
    assert ("address", "add", "10.244.2.1/24", "dev", "finetune2") in bridge_commands(Site(2, Path("/n")))
