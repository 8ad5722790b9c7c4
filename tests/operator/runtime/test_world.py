"""What news of objects mean for jobs, and what is not forgotten about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from finetune_api.reasons import AttemptOutcome, ConditionType
from finetune_api.status import AttemptStatus, Condition, FrozenStatus, JobStatus
from finetune_operator.cluster.resources import CONFIG_MAPS, EVENTS, FINETUNE_JOBS, NODES, PODS
from finetune_operator.observed import Refusal
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.world import JobMemory, World, attempt_of

KEY = JobKey("team", "arc")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(uid: str = "job-uid") -> dict[str, Any]:
    return {"metadata": {"name": "arc", "namespace": "team", "uid": uid, "resourceVersion": "1"}}


def pod(name: str, version: int, attempt: str | None = "0", uid: str | None = None) -> dict[str, Any]:
    labels = {"finetune.dev/job-name": "arc", "finetune.dev/job-uid": "job-uid"}
    labels |= {} if attempt is None else {"finetune.dev/attempt": attempt}
    metadata = {"name": name, "namespace": "team", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata | {"labels": labels}, "spec": {"nodeName": "node-0"}, "status": {"phase": "Running"}}


def world() -> World:
    made = World(with_nodes=True)
    made.put(FINETUNE_JOBS, job())
    return made


def test_news_of_a_job_a_pod_and_its_node_are_about_that_job() -> None:
    cluster = World(with_nodes=True)
    node = {"metadata": {"name": "node-0", "uid": "n", "resourceVersion": "1"}}
    assert cluster.put(FINETUNE_JOBS, job()) == {KEY}
    assert cluster.put(PODS, pod("arc-0-0", 2)) == {KEY}
    assert cluster.put(NODES, node) == {KEY}
    assert cluster.put(NODES, {"metadata": {"name": "node-1", "uid": "m", "resourceVersion": "1"}}) == set()


def test_a_new_version_with_nothing_new_is_no_news() -> None:
    cluster = world()
    cluster.put(PODS, pod("arc-0-0", 2))
    assert cluster.put(PODS, pod("arc-0-0", 3)) == set()


def test_kinds_without_a_store_are_passed_over() -> None:
    assert world().put(EVENTS, {"metadata": {"name": "e"}}) == set()
    assert World(with_nodes=False).put(NODES, {"metadata": {"name": "node-0"}}) == set()


def test_the_last_that_was_seen_of_a_pod_is_kept_until_its_attempt_is_recorded() -> None:
    cluster = world()
    for name, attempt in (("arc-0-0", "0"), ("arc-1-0", "1"), ("arc-prepare", None)):
        cluster.put(PODS, pod(name, 2, attempt))
        cluster.remove(PODS, pod(name, 3, attempt))
    memory = cluster.memory(KEY, "job-uid")
    assert sorted(memory.gone) == ["uid-arc-0-0", "uid-arc-1-0", "uid-arc-prepare"]
    ended = AttemptStatus(number=0, nodes=1, outcome=AttemptOutcome.FAILURE)
    frozen = FrozenStatus(image="trainer")
    memory.recorded(JobStatus(frozen=frozen, attempts=(ended, AttemptStatus(number=1, nodes=1))))
    assert sorted(memory.gone) == ["uid-arc-1-0", "uid-arc-prepare"]
    memory.recorded(JobStatus(frozen=frozen, conditions=(condition(ConditionType.DATASET_PREPARED),)))
    assert sorted(memory.gone) == ["uid-arc-1-0"]
    memory.recorded(JobStatus(frozen=frozen, conditions=(condition(ConditionType.FAILED),)))
    assert memory.gone == {}


def test_what_was_seen_of_pods_is_forgotten_with_the_status_that_it_belongs_to() -> None:
    cluster = world()
    cluster.put(PODS, pod("arc-prepare", 2, None))
    cluster.remove(PODS, pod("arc-prepare", 3, None))
    memory = cluster.memory(KEY, "job-uid")
    memory.recorded(JobStatus())
    assert memory.gone == {}


def condition(kind: ConditionType) -> Condition:
    return Condition(type=kind, status="True", reason="R", message="", last_transition_time=NOW)


def test_a_pod_that_bears_the_name_of_one_that_is_gone_stands_for_it() -> None:
    cluster = world()
    cluster.remove(PODS, pod("arc-0-0", 2))
    cluster.put(PODS, pod("arc-0-0", 3, uid="newer"))
    assert cluster.memory(KEY, "job-uid").gone == {}


def test_a_job_made_anew_starts_without_memories() -> None:
    cluster = world()
    cluster.memory(KEY, "job-uid").incomplete = 3
    assert cluster.memory(KEY, "job-uid").incomplete == 3
    assert cluster.memory(KEY, "newer").incomplete == 0


def test_refusals_are_told_newest_first_and_pass() -> None:
    memory = JobMemory("u")
    for name, age in (("old", 60), ("new", 1), ("older", 90)):
        memory.refusals["Pod", name] = Refusal("Pod", name, 403, "no", NOW - timedelta(seconds=age))
    assert [one.name for one in memory.refused()] == ["new", "old", "older"]
    memory.passed(NOW - timedelta(seconds=70))
    assert [one.name for one in memory.refused()] == ["new", "old"]


def test_children_are_known_by_the_name_of_their_job() -> None:
    cluster = world()
    metadata = {"name": "arc-config", "namespace": "team", "uid": "c", "resourceVersion": "2",
                "labels": {"finetune.dev/job-name": "arc"}}  # fmt: skip
    cluster.put(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
    (child,) = cluster.children(KEY)
    assert "data" not in child


def test_a_label_that_is_no_number_is_no_attempt() -> None:
    assert [attempt_of(pod("p", 1, label)) for label in ("7", "", "x", "²", None)] == [7, None, None, None, None]
