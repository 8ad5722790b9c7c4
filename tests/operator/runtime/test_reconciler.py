"""Rounds against a server that refuses, loses answers, and is changed by others meanwhile."""

import asyncio
import json
from typing import Any

import pytest

from finetune_api.names import ATTEMPT_LABEL, JOB_NAME_LABEL, JOB_UID_LABEL
from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_api.reasons import AttemptOutcome, ConditionType, State
from finetune_api.status import condition_of
from finetune_operator.cluster.resources import SERVICES
from finetune_operator.runtime.scope import Scope
from finetune_operator.runtime.work_queue import Again
from support.fake_api_server import FakeApiServer
from support.operator_jobs import inline_job, job
from support.shell_scene import KEY, Shell, act, add_node, ended, run_all, running

FIRST = ["arc-easy-0-0", "arc-easy-0-1"]
SECOND = ["arc-easy-1-0", "arc-easy-1-1"]
SUCCEEDED = TerminationMessage(outcome=Outcome.SUCCEEDED, step=4).to_json()


def state(shell: Shell) -> State | None:
    return shell.status.state


def test_a_job_runs_from_its_creation_to_its_end() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        assert shell.names() == FIRST
        assert state(shell) == State.STARTING
        run_all(shell.server)
        await shell.settle()
        assert state(shell) == State.RUNNING
        run_all(shell.server, ended(0, SUCCEEDED))
        await shell.settle()
        assert state(shell) == State.COMPLETE

    server = act(scene)
    assert [server.count("POST", kind) for kind in ("pods", "services", "configmaps", "networkpolicies")] == [
        2,
        1,
        1,
        1,
    ]


def test_a_new_job_costs_no_reads_and_one_write_of_its_status() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.look()
        shell.server.requests.clear()
        await shell.reconcile(KEY)

    asked = [f"{one.method} {one.plural}" for one in act(scene).requests]
    assert asked[0] == "PATCH finetunejobs"
    assert sorted(asked[1:4]) == ["POST configmaps", "POST networkpolicies", "POST services"]
    assert asked[4:] == ["POST pods", "POST pods"]


def test_nothing_is_done_when_the_status_cannot_be_written() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        shell.server.fail("PATCH", "finetunejobs", 500, reason="InternalError")
        with pytest.raises(Again, match="500 InternalError"):
            await shell.round()
        assert shell.names() == []
        await shell.settle()
        assert shell.names() == FIRST

    act(scene)


def test_a_job_that_somebody_changed_meanwhile_is_read_anew() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.look()
        shell.server.change("finetunejobs", KEY.name, lambda body: body["metadata"].update(labels={"x": "1"}))
        with pytest.raises(Again, match="changed meanwhile"):
            await shell.reconcile(KEY)
        assert shell.names() == []
        await shell.reconcile(KEY)
        assert shell.names() == FIRST

    act(scene)


def test_that_somebody_was_faster_is_nobodys_mistake() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.look()
        shell.server.change("finetunejobs", KEY.name, lambda body: body["spec"].update(nodes=3))
        with pytest.raises(Again):
            await shell.reconcile(KEY)
        await shell.poster.drain(5)
        assert shell.server.of("events") == []

    act(scene)


def test_a_create_whose_answer_was_lost_is_not_done_twice() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        shell.server.fail("POST", "pods", 504, reason="Timeout", after=True)
        with pytest.raises(Again, match="504"):
            await shell.round()
        await shell.reconcile(KEY)
        assert shell.names() == FIRST
        assert shell.world.memory(KEY, "").foreign == {}

    act(scene)


def test_two_leaders_make_no_child_twice_and_lose_no_outcome() -> None:
    async def scene(shell: Shell) -> None:
        async with shell.server.client() as client:
            other = Shell(shell.server, client)
            shell.server.put("finetunejobs", inline_job())
            for change in (None, running(), ended(1), None, running(), ended(0, SUCCEEDED)):
                if change is not None:
                    alive = [one for one in shell.server.of("pods") if one["status"]["phase"] in ("Pending", "Running")]
                    for pod in alive:
                        shell.server.change("pods", pod["metadata"]["name"], change)
                await asyncio.gather(shell.look(), other.look())
                for _ in range(6):
                    await asyncio.gather(_try(shell), _try(other))
                    await asyncio.gather(shell.look(), other.look())
            outcomes = [attempt.outcome for attempt in shell.status.attempts]
            assert outcomes == [AttemptOutcome.FAILURE, AttemptOutcome.SUCCEEDED]
            assert shell.names() == [*FIRST, *SECOND]

    act(scene)


async def _try(shell: Shell) -> None:
    try:
        await shell.reconcile(KEY)
    except Again:
        return


def test_a_pod_that_went_unseen_still_tells_its_end() -> None:
    """Its deletion fell into the gap between two watches: what was seen last stands for it."""

    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        run_all(shell.server)
        await shell.settle()
        shell.server.change("pods", FIRST[1], ended(3, _told(Outcome.DATASET_INVALID)))
        await shell.look()
        shell.server.remove("pods", FIRST[1])
        await shell.settle()
        assert state(shell) == State.FAILED
        failed = condition_of(shell.status.conditions, ConditionType.FAILED)
        assert failed is not None
        assert failed.reason == "DatasetInvalid"
        assert shell.world.memory(KEY, shell.server.get("finetunejobs", KEY.name)["metadata"]["uid"]).gone == {}

    act(scene)


def test_the_outcome_is_in_the_status_before_a_pod_is_deleted() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        run_all(shell.server)
        await shell.settle()
        shell.server.change("pods", FIRST[0], ended(1))
        shell.server.requests.clear()
        await shell.settle()

    asked = [one for one in act(scene).requests if one.method in ("PATCH", "DELETE")]
    first = next(one for one in asked if one.method == "PATCH")
    assert asked.index(first) < min(index for index, one in enumerate(asked) if one.method == "DELETE")
    assert first.body["status"]["attempts"][0]["outcome"] == "Failure"
    deletion = next(one for one in asked if one.method == "DELETE")
    assert deletion.body["preconditions"]["uid"]
    assert deletion.body["gracePeriodSeconds"] == 5


def test_an_attempt_begins_only_after_reading_afresh_what_is_left_of_the_last() -> None:
    """A store that is behind shows the old pods as gone; one of them is not."""

    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        run_all(shell.server)
        await shell.settle()
        shell.server.change("pods", FIRST[0], ended(1))
        await shell.round()
        assert shell.status.attempts[0].outcome is AttemptOutcome.FAILURE
        for name in FIRST:
            shell.world.pods.remove(shell.server.get("pods", name))
        survivor = shell.server.get("pods", FIRST[1])
        shell.server.remove("pods", FIRST[1])
        survivor["metadata"].update(uid="not-seen-yet")
        shell.server.put("pods", survivor)
        await shell.reconcile(KEY)
        assert not set(SECOND) & set(shell.names()), "the survivor may still run"

    act(scene)


def test_no_pod_is_made_for_an_old_version_of_its_job() -> None:
    """As one would that slept while another led, or whose list was an old one."""

    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        for name in FIRST:
            shell.server.remove("pods", name)
        await shell.look()
        shell.server.change("finetunejobs", KEY.name, lambda body: body["spec"].update(managedBy="another"))
        with pytest.raises(Again, match="changed meanwhile"):
            await shell.reconcile(KEY)
        assert shell.names() == []
        await shell.reconcile(KEY)
        assert shell.names() == []

    act(scene)


def test_a_refusal_is_told_in_the_words_of_the_server_and_tried_again_later() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        shell.server.fail("POST", "pods", 403, reason="Forbidden", message="pods are forbidden: no", times=100)
        await shell.settle()
        stalled = condition_of(shell.status.conditions, ConditionType.STALLED)
        assert stalled is not None
        assert "pods are forbidden: no" in stalled.message
        creates = shell.server.count("POST", "pods")
        await shell.settle()
        assert shell.server.count("POST", "pods") == creates
        shell.server.faults.clear()
        shell.wait(31)
        await shell.settle()
        assert shell.names() == FIRST

    act(scene)


def test_a_busy_server_is_obeyed() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        shell.server.fail("POST", "services", 429, reason="TooManyRequests", headers={"Retry-After": "9"})
        with pytest.raises(Again) as busy:
            await shell.round()
        assert busy.value.after == 9.0

    act(scene)


@pytest.mark.parametrize(
    ("plural", "name"), [("services", "arc-easy"), ("pods", "arc-easy-0-0"), ("configmaps", "arc-easy-config")]
)
def test_an_object_of_another_in_the_place_of_a_child_is_named_and_left_alone(plural: str, name: str) -> None:
    async def scene(shell: Shell) -> None:
        theirs: dict[str, Any] = {
            "metadata": {"name": name},
            "spec": {"containers": []},
            "status": {"phase": "Pending"},
        }
        shell.server.put(plural, theirs)
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        stalled = condition_of(shell.status.conditions, ConditionType.STALLED)
        assert stalled is not None
        assert stalled.reason == "ChildForeign"
        assert name in stalled.message
        shell.server.remove(plural, name)
        shell.wait(31)
        await shell.settle()
        assert shell.names() == FIRST

    act(scene)


def _service_of(uid: str) -> dict[str, Any]:
    labels = {JOB_NAME_LABEL: KEY.name, JOB_UID_LABEL: uid}
    owner = {"kind": "FinetuneJob", "name": KEY.name, "uid": uid, "controller": True}
    return {"metadata": {"name": KEY.name, "labels": labels, "ownerReferences": [owner]}, "spec": {}}


def test_what_an_earlier_job_of_the_name_has_left_is_deleted_after_a_while() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("services", _service_of("of-the-job-before"))
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        assert shell.names() == []
        shell.wait(31)
        await shell.settle()
        assert shell.names() == FIRST

    act(scene)


def test_an_operator_that_is_behind_does_not_delete_what_a_later_job_of_the_name_has() -> None:
    """It knows the later job's children and not yet the later job: to it they look left behind."""

    async def scene(shell: Shell) -> None:
        shell.server.put("services", _service_of("of-the-job-before"))
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        shell.server.remove("finetunejobs", KEY.name)
        shell.server.remove("services", KEY.name)
        shell.server.put("finetunejobs", inline_job())
        later = shell.server.get("finetunejobs", KEY.name)["metadata"]["uid"]
        shell.server.put("services", _service_of(later))
        shell.world.put(SERVICES, shell.server.get("services", KEY.name))
        shell.wait(31)
        with pytest.raises(Again, match="changed meanwhile"):
            await shell.reconcile(KEY)
        assert shell.server.get("services", KEY.name)["metadata"]["ownerReferences"][0]["uid"] == later

    act(scene)


def test_a_node_that_its_watch_has_not_told_yet_is_asked_for_before_it_is_taken_for_gone() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        add_node(shell.server, "node-new")
        for name in FIRST:
            pod = shell.server.change("pods", name, running())
            shell.server.change("pods", name, lambda body: body["spec"].update(nodeName="node-new"))
            shell.world.pods.put(shell.server.get("pods", pod["metadata"]["name"]))
        await shell.reconcile(KEY)
        assert shell.status.attempts[0].outcome is None
        assert len(shell.status.attempts) == 1

    act(scene)


def test_an_operator_of_one_namespace_never_asks_for_nodes() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        run_all(shell.server)
        await shell.settle()
        assert state(shell) == State.RUNNING

    assert "nodes" not in {one.plural for one in act(scene, Scope(("team",))).requests}


def test_code_is_read_when_it_is_settled_and_not_while_the_run_goes_on() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("configmaps", {"metadata": {"name": "code"}, "data": {"preprocessing.py": "x = 1"}})
        shell.server.put("finetunejobs", inline_job(code={"configMap": {"name": "code"}}))
        await shell.settle()
        run_all(shell.server)
        await shell.settle()
        assert shell.status.frozen is not None
        assert shell.status.frozen.code_sha256
        shell.server.requests.clear()
        await shell.reconcile(KEY)
        assert not shell.server.requests

    act(scene)


def test_groups_do_not_outlive_the_attempts_that_are_kept() -> None:
    async def scene(shell: Shell) -> None:
        scheduling = {"gang": "Coscheduling"}
        shell.server.put("finetunejobs", inline_job(scheduling=scheduling, runPolicy={"maxRestarts": 20}))
        for attempt in range(4):
            await shell.settle()
            groups = [group["metadata"]["name"] for group in shell.server.of("podgroups")]
            assert groups == [f"arc-easy-{one}" for one in range(max(0, attempt - 1), attempt + 1)]
            for pod in list(shell.server.of("pods")):
                if pod["metadata"]["labels"][ATTEMPT_LABEL] == str(attempt):
                    shell.server.change("pods", pod["metadata"]["name"], ended(1))
            await shell.settle()
            shell.wait(300)

    act(scene)


def test_a_job_that_is_gone_is_forgotten() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        shell.server.remove("finetunejobs", KEY.name)
        assert await shell.round() is None
        assert shell.world._memories == {}

    act(scene)


def test_a_prepare_pod_comes_before_the_others() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", job())
        await shell.settle()
        assert shell.names() == ["arc-easy-prepare"]
        told = json.dumps({"outcome": "Succeeded", "dataset": {"rows": 9, "tokens": 99}})
        run_all(shell.server, ended(0, told))
        await shell.settle()
        assert shell.names() == [*FIRST, "arc-easy-prepare"]

    act(scene)


def _told(outcome: Outcome) -> str:
    return TerminationMessage(outcome=outcome, message="row 57").to_json()


def test_the_fake_server_is_not_touched_between_rounds() -> None:
    """A round that finds nothing to do asks for nothing."""

    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        before = len(shell.server.requests)
        await shell.reconcile(KEY)
        assert len(shell.server.requests) == before

    assert isinstance(act(scene), FakeApiServer)


def test_a_plan_that_is_to_be_made_again_at_once_does_not_wait_for_a_missing_object() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        for name in FIRST:  # it has a node, and waits there for a claim that does not exist
            shell.server.change("pods", name, lambda body: body["spec"].update(nodeName="node-0"))
            shell.server.change(
                "pods", name, lambda body: body["metadata"].update(creationTimestamp="2026-01-01T11:00:00Z")
            )
        assert await shell.round() == 10.0
        shell.server.change("finetunejobs", KEY.name, lambda body: body["spec"].update(runPolicy={"suspend": True}))
        assert await shell.round() == 0.0

    act(scene)
