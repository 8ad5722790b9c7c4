"""How far a run is: as it was told, and corrected by what later attempts prove."""

from finetune_api.outcomes import Outcome
from finetune_api.status import ProgressStatus
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, running


def test_the_last_words_are_newer_than_the_last_answer() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.progress = ProgressStatus(step=43, total_steps=48, loss=5.9, last_checkpoint_step=40)
    cluster.settle()
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED, progress={"step": 48, "loss": 5.8, "lastCheckpointStep": 48})
    cluster.settle()
    progress = cluster.status.progress
    assert progress
    assert (progress.step, progress.total_steps, progress.loss) == (48, 48, 5.8)
    (attempt,) = cluster.status.attempts
    assert (attempt.last_step, attempt.checkpoint_step) == (48, 48)


def test_a_finished_run_has_no_estimate_of_its_end() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.progress = ProgressStatus(step=43, estimated_completion_time=cluster.now)
    cluster.settle()
    cluster.progress = None
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED, progress={"step": 48})
    cluster.settle()
    assert cluster.status.progress
    assert cluster.status.progress.estimated_completion_time is None


def test_a_lie_in_the_last_words_hides_nothing_else() -> None:
    cluster = running(FakeCluster(inline_job()))
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED, progress={"step": -5, "loss": "NaN", "totalSteps": 48})
    cluster.settle()
    assert cluster.status.progress == ProgressStatus(total_steps=48)


def crashed_after_its_checkpoint() -> FakeCluster:
    """A job whose first attempt saved step 10 and crashed; the second one runs."""
    cluster = running(FakeCluster(inline_job()))
    cluster.progress = ProgressStatus(step=12, last_checkpoint_step=10)
    cluster.settle()
    cluster.progress = None
    for pod in cluster.pods():
        cluster.exit(pod, 137)
    cluster.settle()
    running(cluster)
    return cluster


def test_an_attempt_that_begins_later_than_was_known_credits_the_one_before() -> None:
    cluster = crashed_after_its_checkpoint()
    assert cluster.status.attempts[1].first_step == 10
    cluster.progress, cluster.first_step = ProgressStatus(step=16, last_checkpoint_step=15), 15
    cluster.settle()
    before, newest = cluster.status.attempts
    assert (before.last_step, before.checkpoint_step, newest.first_step) == (15, 15, 15)


def test_an_attempt_that_has_to_begin_earlier_says_so_once() -> None:
    cluster = crashed_after_its_checkpoint()
    cluster.progress, cluster.first_step = ProgressStatus(step=6, last_checkpoint_step=5), 5
    cluster.settle()
    cluster.progress = ProgressStatus(step=7, last_checkpoint_step=5)
    cluster.settle()
    assert cluster.status.attempts[1].first_step == 5
    assert cluster.events.count("CheckpointsSkipped") == 1


def test_a_suspended_attempt_is_credited_with_what_it_saved_on_its_way_out() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.progress = ProgressStatus(step=43, last_checkpoint_step=40)
    cluster.settle()
    cluster.progress = None
    cluster.edit(suspend=True)
    cluster.settle()
    for pod in cluster.pods():
        cluster.end(pod, Outcome.PREEMPTED, progress={"step": 44, "lastCheckpointStep": 44})
    cluster.settle()
    (attempt,) = cluster.status.attempts
    assert (attempt.outcome, attempt.last_step, attempt.checkpoint_step) == ("Suspended", 44, 44)


def test_an_attempt_that_began_anew_has_none_of_the_checkpoints_of_those_before_it() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.progress = ProgressStatus(step=45, last_checkpoint_step=40)
    cluster.settle()
    cluster.progress = None
    for _ in range(2):
        for pod in running(cluster).pods("Running"):
            cluster.end(pod, Outcome.PREEMPTED, progress={"firstStep": 0, "step": 0})
        cluster.settle()
        cluster.kubelet()
    ends = [(one.first_step, one.checkpoint_step) for one in cluster.status.attempts[:2]]
    assert ends == [(0, None), (0, None)]


def test_an_attempt_that_never_trained_has_no_steps_of_the_one_before() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"maxRestarts": 9})))
    cluster.progress = ProgressStatus(step=45, last_checkpoint_step=40, last_step_time=cluster.now)
    cluster.settle()
    cluster.progress = None
    for _ in range(3):
        cluster.exit(running(cluster).pods("Running")[0], 1)
        cluster.settle()
        cluster.kubelet()
        cluster.wait(10)
    steps = [(one.last_step, one.checkpoint_step) for one in cluster.status.attempts[:3]]
    assert steps == [(45, 40), (None, None), (None, None)]


def test_an_attempt_that_ends_at_the_same_step_as_the_one_before_has_its_own_steps() -> None:
    cluster = FakeCluster(inline_job())
    for _ in range(2):
        running(cluster)
        cluster.progress = ProgressStatus(step=45, last_checkpoint_step=40, last_step_time=cluster.now)
        cluster.settle()
        cluster.progress = None
        cluster.exit(cluster.pods("Running")[0], 1)
        cluster.settle()
        cluster.kubelet()
        cluster.wait(10)
    assert [one.last_step for one in cluster.status.attempts[:2]] == [45, 45]
