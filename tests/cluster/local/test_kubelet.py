from pathlib import Path
from typing import Any

import pytest

from cluster.local import kubelet
from cluster.local.site import Site


def _config(number: int) -> dict[str, Any]:
    return kubelet.config(Site(number, Path(f"/c/node-{number}")), Path("/c/ca.crt"), "10.244.1.1")


@pytest.mark.parametrize("key", ["address", "cgroupRoot", "containerRuntimeEndpoint", "podLogsDir", "volumePluginDir"])
def test_two_kubelets_on_one_machine_do_not_meet(key: str) -> None:
    assert _config(1)[key] != _config(2)[key]


def test_all_nodes_ask_the_same_name_server() -> None:
    assert _config(1)["clusterDNS"] == _config(2)["clusterDNS"] == ["10.244.1.1"]


def test_logs_can_be_asked_for_because_the_node_has_an_address_of_its_own() -> None:
    command = kubelet.command(Path("/bin/kubelet"), Site(2, Path("/c/node-2")), Path("/c/k.json"), Path("/c/user"))
    assert "--node-ip=10.244.2.1" in command


def test_images_that_cannot_be_pulled_again_are_never_collected() -> None:
    assert _config(1)["imageGCHighThresholdPercent"] == 100


def test_only_who_has_a_certificate_or_a_token_may_ask_the_kubelet() -> None:
    assert _config(1)["authentication"]["anonymous"] == {"enabled": False}
    assert _config(1)["authorization"] == {"mode": "Webhook"}
