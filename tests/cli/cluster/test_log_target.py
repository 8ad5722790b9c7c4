"""Which logs are meant."""

from typing import Any

import pytest

from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.log_target import Choice, NoSuchLog, Pending, Target, first_target, is_past, next_target
from support import job_stories as stories

RANK_0 = Choice()


def _job(body: stories.Body, processes: int = 4, **status: Any) -> JobView:
    body["status"].setdefault("frozen", {})["processesPerNode"] = processes
    body["status"] |= status
    return stories.view(body)


def test_without_a_choice_it_is_rank_0_of_the_newest_attempt() -> None:
    target = first_target(_job(stories.training(2)), RANK_0)
    assert target == Target(1, (0,), 0, 4)
    assert isinstance(target, Target)
    assert target.pod("arc-easy", 0) == "arc-easy-1-0"


def test_a_rank_is_on_the_node_that_its_number_falls_on() -> None:
    for rank, node in ((0, 0), (2, 0), (4, 1), (6, 1)):
        assert first_target(_job(stories.training()), Choice(rank=rank)) == Target(0, (node,), rank, 4)
    with pytest.raises(NoSuchLog, match="attempt 0 has 8 ranks, counted from 0"):
        first_target(_job(stories.training()), Choice(rank=8))
    with pytest.raises(NoSuchLog, match="attempt 0 has 2 nodes, counted from 0"):
        first_target(_job(stories.training()), Choice(node=2))


def test_a_node_is_shown_as_it_is_and_everything_with_marks() -> None:
    assert first_target(_job(stories.training()), Choice(node=1)) == Target(0, (1,), None, 4)
    assert first_target(_job(stories.training()), Choice(everything=True)) == Target(0, (0, 1), None, 4, marked=True)


def test_the_pod_that_prepares_is_shown_while_there_is_no_attempt() -> None:
    assert first_target(_job(stories.preparing()), RANK_0) == Target(None)
    assert first_target(_job(stories.failed_to_prepare()), RANK_0) == Target(None)
    assert first_target(_job(stories.training()), Choice(attempt=0)) == Target(0, (0,), 0, 4)
    with pytest.raises(NoSuchLog, match="rank 0 of arc-easy prepares the data itself"):
        first_target(_job(stories.training()), Choice(prepare=True))


def test_what_is_still_to_come_is_waited_for_and_what_never_comes_is_refused() -> None:
    assert first_target(_job(stories.new()), RANK_0) == Pending("arc-easy is Pending")
    assert isinstance(first_target(_job(stories.training()), Choice(attempt=1)), Pending)
    with pytest.raises(NoSuchLog, match="arc-easy is Failed and had 1 attempts"):
        first_target(_job(stories.failed()), Choice(attempt=1))
    job = _job(stories.failed(), attempts=[], conditions=stories.failed()["status"]["conditions"][-1:])
    with pytest.raises(NoSuchLog, match="never had a pod: said Diverged"):
        first_target(job, RANK_0)


def test_an_attempt_that_is_only_decided_leaves_the_one_before_it_in_view() -> None:
    body = stories.training()
    body["status"]["attempts"].append({"number": 1, "nodes": 2})
    assert first_target(_job(body), RANK_0) == Target(0, (0,), 0, 4)


def test_after_an_attempt_comes_the_newest_one_or_the_end() -> None:
    done = Target(0, (0,), 0, 4)
    assert next_target(_job(stories.training()), RANK_0, done) == Pending(
        "arc-easy is Running: Attempt 0 trains on 2 nodes."
    )
    assert next_target(_job(stories.training(3)), RANK_0, done) == Target(2, (0,), 0, 4)
    assert next_target(_job(stories.training()), RANK_0, Target(None)) == done
    assert next_target(_job(stories.failed()), RANK_0, done) is None
    assert next_target(_job(stories.training(3)), Choice(attempt=0), done) is None


def test_a_target_is_past_when_its_attempt_has_ended_or_the_job_is_over_or_gone() -> None:
    assert [is_past(job, Target(0)) for job in (_job(stories.training()), _job(stories.training(2)), None)] == [
        False, True, True,
    ]  # fmt: skip
    assert is_past(_job(stories.failed()), Target(0))
    assert not is_past(_job(stories.preparing()), Target(None))
    assert is_past(_job(stories.training()), Target(None))
