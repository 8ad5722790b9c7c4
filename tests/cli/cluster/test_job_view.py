"""Jobs are read leniently: a newer operator may have written them."""

import pytest

from finetune_api.reasons import ConditionType
from finetune_cli.cluster.job_view import JobView
from support import job_stories as stories


def test_state_and_sentence_come_from_the_conditions() -> None:
    job = stories.view(stories.training())
    assert (job.state, job.reason, job.sentence) == ("Running", "Training", "Attempt 0 trains on 2 nodes.")
    assert (job.over, job.complete) == (False, False)


def test_a_job_that_nobody_has_seen_is_pending() -> None:
    body = stories.new()
    body["status"] = {}
    assert (stories.view(body).state, stories.view(body).sentence) == ("Pending", "")


def test_what_only_a_newer_operator_knows_is_shown_or_left_out_and_the_rest_is_read() -> None:
    body = stories.training()
    body["status"]["state"] = "Dreaming"
    body["status"]["restarts"] = "many"
    body["status"]["conditions"].append(
        {"type": "Dreaming", "status": "True", "reason": "Deep", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    )
    job = stories.view(body)
    assert (job.state, job.status.restarts) == ("Dreaming", 0)
    assert job.status.progress is not None
    assert job.condition(ConditionType.RUNNING) is not None


def test_a_job_on_its_way_out_is_deleting() -> None:
    body = stories.training()
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert stories.view(body).state == "Deleting"


def test_ranks_of_a_node_are_those_that_were_settled_else_those_of_the_spec_else_one() -> None:
    body = stories.training()
    body["spec"]["processesPerNode"] = 4
    assert stories.view(body).processes == 1
    del body["status"]["frozen"]
    assert stories.view(body).processes == 4
    body["spec"]["nonsense"] = True
    assert stories.view(body).processes == 1


@pytest.mark.parametrize(("manager", "ours"), [(None, True), ("finetune.dev/finetune-operator", True), ("a/b", False)])
def test_a_job_of_another_controller_is_not_ours(manager: str | None, ours: bool) -> None:
    body = stories.new()
    body["spec"]["managedBy"] = manager
    assert JobView.of(body).ours is ours
