"""What surrounds a job: stores that know most of it, and the few things for which the API server is asked."""

from typing import Any

import pytest

from finetune_api.reasons import ConditionType
from finetune_api.status import AttemptStatus, FrozenStatus, JobStatus, condition_of
from finetune_operator.cluster.resources import CONFIG_MAPS, FINETUNE_JOBS, NODES, PODS
from finetune_operator.observed import Missing, Reference, SeenJob
from finetune_operator.runtime.surroundings import Gatherer, code_name, needs_code
from support.fake_api_server import Body
from support.operator_jobs import inline_job
from support.shell_scene import KEY, Shell, act, run_all

CHILDREN = ("configmaps", "services", "networkpolicies")
PODS_OF_BOTH = ["arc-easy-0-0", "arc-easy-0-1"]


def delete_the_job(shell: Shell) -> None:
    """The job, its pods and its children go; only the watches of jobs and pods tell so."""
    shell.world.remove(FINETUNE_JOBS, shell.server.get("finetunejobs", KEY.name))
    for pod in shell.server.of("pods"):
        shell.world.remove(PODS, pod)
    for plural in ("finetunejobs", "pods", *CHILDREN):
        for body in shell.server.of(plural):
            shell.server.remove(plural, body["metadata"]["name"])


async def make_it_anew(shell: Shell, rounds: int = 5) -> str:
    """A job of the same name comes and is looked at, without a list; return its uid."""
    job = shell.server.put("finetunejobs", inline_job())
    shell.world.put(FINETUNE_JOBS, job)
    for _ in range(rounds):
        await shell.reconcile(KEY)
    return str(job["metadata"]["uid"])


def owners(shell: Shell) -> set[str]:
    """Whose the children are."""
    bodies = [body for plural in (*CHILDREN, "pods") for body in shell.server.of(plural)]
    return {owner["uid"] for body in bodies for owner in body["metadata"]["ownerReferences"]}


def seen(shell: Shell) -> SeenJob:
    return SeenJob.of(shell.server.get("finetunejobs", KEY.name))


def test_a_job_made_anew_under_its_name_is_not_held_up_by_children_that_went_with_the_old_one() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        assert shell.names() == PODS_OF_BOTH
        delete_the_job(shell)
        uid = await make_it_anew(shell)
        assert shell.names() == PODS_OF_BOTH
        assert all(shell.server.of(plural) for plural in CHILDREN)
        assert owners(shell) == {uid}

    act(scene)


def test_a_child_of_the_old_job_that_is_still_there_is_waited_for_and_then_replaced() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        left: Body = shell.server.of("configmaps")[0]
        delete_the_job(shell)
        shell.server.put("configmaps", left)
        uid = await make_it_anew(shell)
        stalled = condition_of(shell.status.conditions, ConditionType.STALLED)
        assert stalled is not None
        assert (stalled.status, stalled.reason) == ("True", "ChildForeign")
        assert shell.names() == []
        shell.server.remove("configmaps", left["metadata"]["name"])
        for _ in range(4):
            await shell.reconcile(KEY)
        assert (shell.names(), owners(shell)) == (PODS_OF_BOTH, {uid})

    act(scene)


def test_nobody_is_asked_about_children_that_are_the_jobs_own() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        shell.server.requests.clear()
        await Gatherer(shell.client, shell.world).gather(KEY, seen(shell), shell.world.memory(KEY, "x"), None)
        asked = [one.plural for one in shell.server.requests]
        assert sorted(asked) == sorted(CHILDREN)  # to a job of another uid they are strangers
        shell.server.requests.clear()
        uid = seen(shell).uid
        await Gatherer(shell.client, shell.world).gather(KEY, seen(shell), shell.world.memory(KEY, uid), None)
        assert shell.server.requests == []

    act(scene)


def test_a_node_that_no_watch_has_told_of_yet_is_asked_for_and_one_that_is_gone_is_left_out() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        run_all(shell.server)
        await shell.look()
        gatherer, job = Gatherer(shell.client, shell.world), seen(shell)
        shell.world.sync(NODES, [], str(shell.server.version))
        shell.server.put("nodes", {"metadata": {"name": "node-0", "uid": "newer"}})
        around = await gatherer.gather(KEY, job, shell.world.memory(KEY, job.uid), None)
        assert [node["metadata"]["name"] for node in around.nodes or ()] == ["node-0"]
        shell.world.remove(NODES, shell.server.get("nodes", "node-0", ""))
        shell.server.remove("nodes", "node-0", "")
        assert (await gatherer.gather(KEY, job, shell.world.memory(KEY, job.uid), None)).nodes == []

    act(scene)


def test_of_what_pods_mount_only_what_does_not_exist_is_missing() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("configmaps", {"metadata": {"name": "there"}})
        wanted = [Reference("ConfigMap", "there"), Reference("ConfigMap", "away")]
        (missing,) = await Gatherer(shell.client, shell.world).missing(KEY, wanted)
        assert missing == Missing("ConfigMap", "away", 'configmaps "away" not found')
        assert shell.world.store(CONFIG_MAPS) is not None

    act(scene)


@pytest.mark.parametrize(
    "document", [{}, {"spec": None}, {"spec": {"code": "x"}}, {"spec": {"code": {"configMap": 1}}}]
)
def test_code_that_nobody_has_judged_yet_may_be_anything(document: Any) -> None:
    assert code_name(document) is None


def test_the_code_matters_until_it_is_settled_and_whenever_an_attempt_begins() -> None:
    def job(**status: Any) -> SeenJob:
        return SeenJob.of({**inline_job(), "metadata": {"name": "a", "namespace": "team", "uid": "u"},
                           "status": JobStatus(**status).to_json()})  # fmt: skip

    attempt, frozen = AttemptStatus(number=0, nodes=1), FrozenStatus(image="i")
    pod = {"metadata": {"labels": {"finetune.dev/attempt": "0"}}}
    assert needs_code(job(), [])
    assert needs_code(job(frozen=frozen, attempts=(attempt,)), [])
    assert not needs_code(job(frozen=frozen, attempts=(attempt,)), [pod])
