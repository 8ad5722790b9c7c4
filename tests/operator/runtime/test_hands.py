"""Creating and deleting what a plan says, whatever the API server answers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from finetune_operator.cluster.client import ApiError
from finetune_operator.cluster.resources import CONFIG_MAPS, COSCHEDULING_GROUPS
from finetune_operator.decision import Deletion
from finetune_operator.observed import is_ours
from finetune_operator.runtime.hands import Hands
from finetune_operator.runtime.world import JobMemory
from support.shell_scene import KEY, Shell, act

UID = "job-uid"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {"finetune.dev/job-name": KEY.name, "finetune.dev/job-uid": UID}


def body(kind: str, name: str, uid: str = UID) -> dict[str, Any]:
    metadata = {"name": name, "labels": LABELS | {"finetune.dev/job-uid": uid}, "ownerReferences": [{"uid": uid}]}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def hands(shell: Shell) -> Hands:
    return Hands(shell.client, shell.world, lambda: NOW)


def test_what_pods_stand_on_comes_before_pods() -> None:
    async def scene(shell: Shell) -> None:
        wanted = [body("Pod", "a"), body("ConfigMap", "c"), body("Service", "s")]
        assert await hands(shell).create(KEY, JobMemory(UID), wanted)

    made = [one.plural for one in act(scene).requests if one.method == "POST"]
    assert (sorted(made[:2]), made[2:]) == (["configmaps", "services"], ["pods"])


def test_what_the_server_refuses_is_remembered_and_no_pod_is_made_without_it() -> None:
    async def scene(shell: Shell) -> None:
        memory = JobMemory(UID)
        shell.server.fail("POST", "configmaps", 403, message="exceeded quota")
        assert not await hands(shell).create(KEY, memory, [body("ConfigMap", "c"), body("Pod", "a")])
        (refusal,) = memory.refused()
        assert (refusal.kind, refusal.name, refusal.message, refusal.at) == ("ConfigMap", "c", "exceeded quota", NOW)
        assert shell.names() == []
        assert await hands(shell).create(KEY, memory, [body("ConfigMap", "c"), body("Pod", "a")])
        assert memory.refused() == ()

    act(scene)


def test_an_answer_that_may_be_different_next_time_is_raised_after_the_others_are_done() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.fail("POST", "configmaps", 503)
        with pytest.raises(ApiError, match="503"):
            await hands(shell).create(KEY, JobMemory(UID), [body("ConfigMap", "c"), body("Service", "s")])
        assert len(shell.server.of("services")) == 1

    act(scene)


def test_what_exists_already_is_taken_over_when_it_is_ours_and_reported_when_it_is_not() -> None:
    async def scene(shell: Shell) -> None:
        memory = JobMemory(UID)
        shell.server.put("configmaps", body("ConfigMap", "ours"))
        shell.server.put("configmaps", body("ConfigMap", "theirs", "another"))
        assert await hands(shell).create(KEY, memory, [body("ConfigMap", "ours")])
        assert not await hands(shell).create(KEY, memory, [body("ConfigMap", "theirs")])
        assert list(memory.foreign) == [("ConfigMap", "theirs")]
        assert [child["metadata"]["name"] for child in shell.world.children(KEY)] == ["ours"]

    act(scene)


def test_what_took_the_place_of_the_object_that_was_seen_is_not_deleted() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("configmaps", body("ConfigMap", "c"))
        await hands(shell).delete(
            KEY, JobMemory(UID), [Deletion("ConfigMap", "c", "older"), Deletion("ConfigMap", "gone", "u")]
        )
        assert len(shell.server.of("configmaps")) == 1

    act(scene)


def test_a_child_that_no_watch_tells_of_is_forgotten_when_it_is_deleted() -> None:
    async def scene(shell: Shell) -> None:
        made = shell.server.put("configmaps", body("ConfigMap", "c"))
        shell.world.put(CONFIG_MAPS, made)
        await hands(shell).delete(KEY, JobMemory(UID), [Deletion("ConfigMap", "c", made["metadata"]["uid"])])
        assert (shell.server.of("configmaps"), shell.world.children(KEY)) == ([], [])

    act(scene)


def test_a_group_that_is_only_known_as_anothers_is_deleted_where_it_was_found() -> None:
    async def scene(shell: Shell) -> None:
        group = body("PodGroup", "arc-0", "another") | {"apiVersion": COSCHEDULING_GROUPS.api_version}
        group["metadata"]["uid"] = "group"
        memory = JobMemory(UID, foreign={("PodGroup", "arc-0"): group})
        await hands(shell).delete(KEY, memory, [Deletion("PodGroup", "arc-0", "group")])

    assert [(one.method, one.plural, one.name) for one in act(scene).requests] == [("DELETE", "podgroups", "arc-0")]


def test_an_object_is_ours_by_its_owner_or_without_any_by_its_label() -> None:
    kept = {"metadata": {"labels": LABELS}}
    assert is_ours(body("Pod", "a"), UID)
    assert is_ours(kept, UID)
    assert not is_ours({"metadata": {"labels": LABELS, "ownerReferences": [{"uid": "another"}]}}, UID)
    assert not is_ours({"metadata": {}}, UID)
