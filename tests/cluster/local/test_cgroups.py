from pathlib import Path

from cluster.local.cgroups import hierarchies

_FIRST = """\
30 1 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 1 0:27 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,name=systemd
"""
_SECOND = "32 1 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"


def test_every_hierarchy_of_version_1_counts_and_the_unified_one_beside_them_does_not() -> None:
    assert hierarchies(_FIRST + _SECOND) == [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/systemd")]


def test_version_2_alone_is_one_hierarchy() -> None:
    assert hierarchies(_SECOND) == [Path("/sys/fs/cgroup/unified")]
