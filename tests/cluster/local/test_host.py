from cluster.local.host import missing


def _everything(name: str) -> str | None:
    return f"/usr/bin/{name}"


def test_a_machine_with_everything_lacks_nothing() -> None:
    assert missing("linux", 0, _everything, plugins_missing=False) == []


def test_all_missing_packages_are_named_at_once() -> None:
    lacks = missing("linux", 0, lambda name: None, plugins_missing=True)
    packages = "containerd containernetworking-plugins debootstrap iproute2 iptables runc"
    assert lacks == [f"packages: apt install {packages}"]


def test_people_without_root_learn_what_else_they_may_use() -> None:
    (said,) = missing("linux", 1000, _everything, plugins_missing=False)
    assert said.startswith("root (or Docker and kind")


def test_other_systems_are_told_that_linux_is_needed_and_nothing_about_packages() -> None:
    (said,) = missing("darwin", 501, lambda name: None, plugins_missing=True)
    assert said.startswith("Linux")
