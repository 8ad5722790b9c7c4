from pathlib import Path

from cluster.local.mounts import below

_TABLE = """\
20 1 254:0 / / rw - ext4 /dev/vda rw
40 20 0:40 / /c/cluster/pod rw - tmpfs tmpfs rw
41 40 0:41 / /c/cluster/pod/volume\\040one rw - tmpfs tmpfs rw
42 20 0:42 / /c/cluster-of-others rw - tmpfs tmpfs rw
"""


def test_the_latest_mount_is_unmounted_first_and_spaces_are_read() -> None:
    assert below(Path("/c/cluster"), _TABLE) == ["/c/cluster/pod/volume one", "/c/cluster/pod"]


def test_a_folder_whose_name_only_begins_alike_stays_mounted() -> None:
    assert "/c/cluster-of-others" not in below(Path("/c/cluster"), _TABLE)
