"""What scripts read off an exit code."""

import pytest

from finetune_api.errors import ConfigInvalid
from finetune_api.outcomes import Outcome, exit_code
from finetune_cli.cluster.conclusion import aim, code_of, conclude, reached, unfinished
from support import job_stories as stories


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.CONFIG_INVALID])
def test_a_failed_job_has_the_exit_code_of_its_outcome(outcome: Outcome) -> None:
    assert code_of(stories.view(stories.failed(outcome))) == exit_code(outcome)


@pytest.mark.parametrize(
    ("reason", "cause", "code"),
    [
        ("RestartsExhausted", "Retryable", 75),
        ("RestartsExhausted", "Crashed", 1),
        ("RestartsExhausted", "OOMKilled", 1),
        ("NoProgress", "Succeeded", 1),
        ("DeadlineExceeded", "DeadlineExceeded", 1),
        ("SpecInvalid", "SpecInvalid", 2),
        ("CodeChanged", "CodeChanged", 2),
    ],
)
def test_a_reason_that_is_no_outcome_has_the_code_of_its_cause(reason: str, cause: str, code: int) -> None:
    body = stories.failed()
    for condition in body["status"]["conditions"]:
        condition["reason"] = reason if condition["type"] == "Failed" else condition["reason"]
    body["status"]["failure"]["reason"] = cause
    assert code_of(stories.view(body)) == code


def test_a_complete_job_exits_with_0() -> None:
    assert code_of(stories.view(stories.complete())) == 0


def test_a_wait_ends_with_what_was_waited_for_or_with_the_end_of_the_job() -> None:
    running, done, failed = (stories.view(body()) for body in (stories.training, stories.complete, stories.failed))
    assert conclude(running, "Complete") is None
    for job, wanted, code in [
        (done, "Complete", 0),
        (failed, "Complete", 7),
        (failed, "Failed", 0),
        (done, "Failed", 1),
    ]:
        ended = conclude(job, wanted)
        assert ended is not None
        assert ended.code == code
    assert conclude(running, "Running") is not None


def test_a_job_that_is_over_will_not_run_any_more() -> None:
    done, failed = (conclude(stories.view(body()), "Running") for body in (stories.complete, stories.failed))
    assert done is not None
    assert failed is not None
    assert (done.code, failed.code) == (1, 7)
    assert done.sentence.endswith("It will not be Running any more.")


def test_states_and_conditions_can_both_be_waited_for_however_they_are_written() -> None:
    assert [aim(word) for word in ("complete", "condition=Failed", "SUSPENDED", "preparing", "datasetprepared")] == [
        "Complete", "Failed", "Suspended", "Preparing", "DatasetPrepared",
    ]  # fmt: skip
    assert reached(stories.view(stories.preparing()), "Preparing")
    assert reached(stories.view(stories.suspended()), "Suspended")
    assert not reached(stories.view(stories.preparing()), "DatasetPrepared")
    with pytest.raises(ConfigInvalid, match="there is no condition or state Finished; known: Complete, Failed"):
        aim("Finished")


def test_when_the_time_is_over_the_state_is_told() -> None:
    ended = unfinished(stories.view(stories.training()), "arc-easy", "Complete", 90)
    assert ended.code == 124
    assert ended.sentence == ("arc-easy is not Complete after 90 s; it is Running: Attempt 0 trains on 2 nodes.")
