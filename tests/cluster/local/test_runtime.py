import tomllib
from pathlib import Path
from typing import Any

from cluster.local.runtime import builder_config, network, node_config
from cluster.local.site import Site

_SITE = Site(2, Path("/cache/cluster/node-2"))
_CRI = "io.containerd.grpc.v1.cri"


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in _strings(part)]
    return [value] if isinstance(value, str) else []


def test_a_node_keeps_everything_in_its_own_folder() -> None:
    config = tomllib.loads(node_config(_SITE, "pause:1", Path("/usr/lib/cni")))
    paths = {text for text in _strings(config) if text.startswith("/")}
    assert {path for path in paths if not path.startswith("/cache/cluster/node-2/")} == {"/usr/lib/cni"}


def test_pods_start_with_the_image_that_was_built_here() -> None:
    config = tomllib.loads(node_config(_SITE, "pause:1", Path("/usr/lib/cni")))
    assert config["plugins"][_CRI]["sandbox_image"] == "pause:1"


def test_network_namespaces_lie_where_the_remover_unmounts() -> None:
    config = tomllib.loads(node_config(_SITE, "pause:1", Path("/usr/lib/cni")))
    assert config["plugins"][_CRI]["netns_mounts_under_state_dir"] is True


def test_a_builder_runs_no_pods() -> None:
    assert tomllib.loads(builder_config(Path("/images")))["disabled_plugins"] == [_CRI]


def test_pods_of_two_nodes_get_different_addresses() -> None:
    networks = [network(Site(number, Path(f"/node-{number}"))) for number in (1, 2)]
    ranges = [one["plugins"][0]["ipam"]["ranges"][0][0]["subnet"] for one in networks]
    assert ranges == ["10.244.1.0/24", "10.244.2.0/24"]
