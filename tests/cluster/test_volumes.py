from pathlib import Path, PurePosixPath

from cluster.volumes import CLASS, VolumePool

_POOL = VolumePool(Path("/here"), PurePosixPath("/there"), count=3)


def test_every_volume_is_another_directory_on_the_nodes() -> None:
    volumes = [one for one in _POOL.objects() if one["kind"] == "PersistentVolume"]
    assert [one["spec"]["local"]["path"] for one in volumes] == ["/there/0", "/there/1", "/there/2"]
    assert len({one["metadata"]["name"] for one in volumes}) == 3


def test_a_claim_that_names_no_class_gets_one() -> None:
    storage_class = _POOL.objects()[0]
    assert storage_class["metadata"]["name"] == CLASS
    assert storage_class["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}


def test_pods_of_several_nodes_may_share_a_volume() -> None:
    assert "ReadWriteMany" in _POOL.objects()[1]["spec"]["accessModes"]
