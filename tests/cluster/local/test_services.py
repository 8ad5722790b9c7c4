from pathlib import Path

from cluster.local.services import proxy_config, zone


def test_names_are_never_kept_for_pods_that_came_back_elsewhere() -> None:
    assert "ttl 0" in zone("10.244.1.1", Path("/c/admin"), 8181)
    assert "cache" not in zone("10.244.1.1", Path("/c/admin"), 8181)


def test_names_are_served_on_the_bridge_and_nowhere_else() -> None:
    assert "bind 10.244.1.1\n" in zone("10.244.1.1", Path("/c/admin"), 8181)


def test_a_pod_reaches_its_neighbour_through_a_service() -> None:
    assert proxy_config(Path("/c/admin"), "node-1", 1, 2)["iptables"]["masqueradeAll"] is True
