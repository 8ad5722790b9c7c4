"""Every state that needs a person says what to do."""

from datetime import UTC, datetime

import pytest

from finetune_api.reasons import REASONS, ConditionType, Reason, State
from finetune_cli.cluster.advice import advice
from support import job_stories as stories

WAITING = [row for row in REASONS if row.condition is ConditionType.RUNNING and row.warning]
STALLED = [row for row in REASONS if row.state is State.STALLED and row.name not in ("JobFailed", "ChildForeign")]
FAILED = [row for row in REASONS if row.condition is ConditionType.FAILED]


def _with(row: Reason, kind: str) -> stories.Body:
    body = stories.training()
    body["status"]["conditions"] = [
        {
            "type": kind,
            "status": row.status,
            "reason": str(row.name),
            "message": "said",
            "lastTransitionTime": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        }
    ]
    del body["status"]["state"]
    return body


@pytest.mark.parametrize("row", [*WAITING, *STALLED, *FAILED], ids=lambda row: str(row.name))
def test_every_reason_to_wait_or_to_fail_comes_with_advice(row: Reason) -> None:
    assert row.condition is not None
    assert advice(stories.view(_with(row, row.condition.value)))


def test_a_running_job_offers_its_log() -> None:
    assert advice(stories.view(stories.training())) == ["finetune logs arc-easy -n team -f"]


def test_a_failed_job_says_how_to_go_on_from_its_checkpoint() -> None:
    told = advice(stories.view(stories.failed()))
    assert told[-1] == f"To go on from the last checkpoint: a new job with output.resumeFrom: {stories.UID}"
    assert "resumeFrom" not in " ".join(advice(stories.view(stories.failed_to_prepare())))


def test_a_suspended_job_is_resumed_by_a_command_that_is_given() -> None:
    assert advice(stories.view(stories.suspended())) == [
        """kubectl patch ftj arc-easy -n team --type merge -p '{"spec":{"runPolicy":{"suspend":false}}}'"""
    ]


def test_a_job_that_no_operator_sees_asks_for_one_unless_it_belongs_to_another_controller() -> None:
    body = stories.new()
    assert "No operator has looked at this job" in advice(stories.view(body))[0]
    body["spec"]["managedBy"] = "example.com/other"
    assert advice(stories.view(body)) == ["spec.managedBy leaves this job to example.com/other."]


def test_the_claim_made_from_a_template_is_named_too() -> None:
    body = stories.complete()
    body["spec"]["output"] = {"volumeClaimTemplate": {}}
    assert "on claim arc-easy-output" in advice(stories.view(body))[0]
