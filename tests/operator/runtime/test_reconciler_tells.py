"""What a round tells people: Events about the job, and lines in the log."""

import asyncio

import pytest
from pydantic import ValidationError

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_operator.decision import Event
from finetune_operator.observed import SeenJob
from support.operator_jobs import inline_job
from support.shell_scene import KEY, Shell, act, ended, run_all

SUCCEEDED = TerminationMessage(outcome=Outcome.SUCCEEDED, step=4).to_json()


def test_events_follow_the_status_and_the_same_again_is_counted() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        await shell.poster.drain(5)
        events = shell.server.of("events")
        assert "AttemptStarted" in {event["reason"] for event in events}
        assert {event["regarding"]["name"] for event in events} == {"arc-easy"}
        seen = shell.world.jobs.get(*KEY)
        assert seen is not None
        for _ in range(3):
            shell.poster.post(SeenJob.of(seen), [Event("Again", "the same")])
        await shell.poster.drain(5)
        (again,) = [event for event in shell.server.of("events") if event["reason"] == "Again"]
        assert again["series"]["count"] == 3

    act(scene)


@pytest.mark.parametrize("code", [429, 500])
def test_events_about_what_is_recorded_are_not_lost_with_a_create(code: int) -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        shell.server.fail("POST", "pods", code, reason="Later")
        assert await shell.settle() == 1
        await shell.poster.drain(5)

    told = [event["reason"] for event in act(scene).of("events")]
    assert (told.count("AttemptStarted"), told.count("Starting")) == (1, 1)


def test_deletions_are_told_once_they_are_done() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job(runPolicy={"ttlSecondsAfterFinished": {"succeeded": 0}}))
        await shell.settle()
        run_all(shell.server, ended(0, SUCCEEDED))
        shell.server.fail("DELETE", "services", 500, reason="Later")
        assert await shell.settle() == 1
        await shell.poster.drain(5)

    told = [event for event in act(scene).of("events") if event["reason"] == "ChildrenDeleted"]
    assert len(told) == 1
    assert "series" not in told[0]


def test_the_line_about_a_failure_tells_its_rank_and_later_ones_do_not(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        await shell.settle()
        run_all(shell.server)
        await shell.settle()
        words = TerminationMessage(outcome=Outcome.CRASHED, rank=1).to_json()
        shell.server.change("pods", "arc-easy-0-1", ended(1, words))
        await shell.settle()

    with caplog.at_level("INFO", "finetune_operator.runtime.reconciler"):
        act(scene)
    told = [getattr(record, "rank", None) for record in caplog.records if record.message == "status written"]
    assert [rank for rank in told if rank is not None] == [1]


def test_a_mistake_of_the_operators_own_is_told_on_the_job_once() -> None:
    async def scene(shell: Shell) -> None:
        shell.server.put("finetunejobs", inline_job())
        shell.server.change("finetunejobs", KEY.name, lambda body: body.update(status={"restarts": -1}))
        posting = asyncio.create_task(shell.poster.work())
        for _ in range(3):
            with pytest.raises(ValidationError):
                await shell.round()
        await shell.poster.drain(5)
        posting.cancel()

    (event,) = act(scene).of("events")
    assert (event["reason"], event["type"]) == ("InternalError", "Warning")
    assert "series" not in event
    assert "tries again: ValidationError: 1 validation error for JobStatus restarts" in event["note"]
