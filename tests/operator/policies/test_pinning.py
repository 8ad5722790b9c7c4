"""A job keeps the image that its first pod ran."""

import pytest

from finetune_operator.policies.pinning import pinned_image
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, job, running

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("image", "seen", "pinned"),
    [
        ("registry.example.com/team/trainer:1", f"registry.example.com/team/trainer@{DIGEST}", True),
        ("localhost:5000/trainer", f"localhost:5000/trainer@{DIGEST}", True),
        ("trainer:1", f"docker.io/library/trainer@{DIGEST}", True),
        ("team/trainer:1", f"docker.io/team/trainer@{DIGEST}", True),
        ("team/trainer:1", f"docker-pullable://docker.io/team/trainer@{DIGEST}", True),
        ("trainer:1", DIGEST, False),
        ("trainer:1", f"docker.io/library/import-2026-01-01@{DIGEST}", False),
        ("trainer:1", "", False),
        (f"example.com/trainer@{DIGEST}", f"example.com/trainer@sha256:{'1' * 64}", False),
    ],
)
def test_only_a_digest_that_can_be_pulled_as_the_same_image_is_kept(image: str, seen: str, pinned: bool) -> None:
    expected = seen.removeprefix("docker-pullable://") if pinned else None
    assert pinned_image(image, seen) == expected


def test_a_tag_that_moves_between_attempts_changes_nothing() -> None:
    cluster = running(FakeCluster(inline_job(image="example.com/trainer:1")))
    first = image_of(cluster, "arc-easy-0-0")
    failed_over(cluster)
    cluster.settle()
    assert first == "example.com/trainer:1"
    assert cluster.status.frozen is not None
    assert image_of(cluster, "arc-easy-1-0") == cluster.status.frozen.image
    assert str(cluster.status.frozen.image).startswith("example.com/trainer@sha256:")


def test_training_runs_the_image_that_prepared() -> None:
    cluster = running(FakeCluster(job()))
    cluster.exit(cluster.pod("arc-easy-prepare"), 0)
    cluster.settle()
    assert "@sha256:" in image_of(cluster, "arc-easy-0-0")


def image_of(cluster: FakeCluster, name: str) -> str:
    """The image of a pod."""
    return str(cluster.pod(name)["spec"]["containers"][0]["image"])
