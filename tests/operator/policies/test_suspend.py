"""`runPolicy.suspend`: a job leaves the cluster and comes back at the same step."""

from finetune_api.outcomes import Outcome
from finetune_api.reasons import AttemptOutcome, ConditionType, State
from finetune_api.status import condition_of
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, job, running

SUSPENDED = {"suspend": True}


def test_a_job_that_is_born_suspended_creates_nothing() -> None:
    cluster = FakeCluster(inline_job(runPolicy=SUSPENDED))
    cluster.settle()
    assert (cluster.objects, cluster.status.state) == ({}, State.SUSPENDED)
    cluster.edit(suspend=False)
    cluster.settle()
    assert cluster.names() == ["arc-easy-0-0", "arc-easy-0-1"]


def test_the_intention_is_recorded_before_a_pod_is_asked_to_leave() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.edit(suspend=True)
    first, second = cluster.reconcile(), cluster.reconcile()
    assert first.delete == ()
    assert [one.grace for one in second.delete] == [None, None]
    assert cluster.status.state == State.SUSPENDING


def test_resuming_starts_the_next_attempt_and_costs_nothing() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert (cluster.pods(), cluster.status.state) == ([], State.SUSPENDED)
    cluster.edit(suspend=False)
    cluster.settle()
    assert cluster.names() == ["arc-easy-1-0", "arc-easy-1-1"]
    assert [one.outcome for one in cluster.status.attempts] == [AttemptOutcome.SUSPENDED, None]
    assert cluster.status.restarts == 0


def test_changing_ones_mind_while_pods_leave_is_a_suspension_that_ended_early() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.edit(suspend=False)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert cluster.status.attempts[0].outcome == AttemptOutcome.SUSPENDED
    assert cluster.names() == ["arc-easy-1-0", "arc-easy-1-1"]


def test_a_run_that_finished_first_is_complete_all_the_same() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.edit(suspend=True)
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED)
    cluster.settle()
    assert cluster.status.state == State.COMPLETE


def test_a_prepare_pod_leaves_too_and_prepares_again_afterwards() -> None:
    cluster = running(FakeCluster(job()))
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert (cluster.pods(), cluster.status.state) == ([], State.SUSPENDED)
    cluster.edit(suspend=False)
    cluster.settle()
    assert cluster.names() == ["arc-easy-prepare"]


def test_tools_that_wait_for_a_job_created_suspended_do_not_wait_for_ever() -> None:
    cluster = FakeCluster(job(runPolicy={"suspend": True}))
    cluster.settle()
    reconciling = condition_of(cluster.status.conditions, ConditionType.RECONCILING)
    assert reconciling is not None
    assert (reconciling.status, reconciling.reason) == ("False", "Suspended")
    cluster.edit(suspend=False)
    cluster.settle()
    reconciling = condition_of(cluster.status.conditions, ConditionType.RECONCILING)
    assert reconciling is not None
    assert (reconciling.status, reconciling.reason) == ("True", "Preparing")


def test_a_pod_on_a_node_that_does_not_answer_does_not_hold_up_the_others() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.nodes["node-1"] = "NotReady"
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert (cluster.names(), cluster.status.state) == (["arc-easy-0-1"], State.SUSPENDED)
    assert cluster.status.attempts[0].outcome == AttemptOutcome.SUSPENDED
    del cluster.nodes["node-1"]
    cluster.settle()
    assert (cluster.names(), cluster.status.state) == ([], State.SUSPENDED)


def test_a_crash_before_the_pods_were_asked_to_leave_is_a_crash() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.edit(suspend=True)
    cluster.reconcile()
    cluster.exit(cluster.pod("arc-easy-0-1"), 1)
    for _ in range(2):
        cluster.settle()
        cluster.kubelet()
    cluster.settle()
    assert (cluster.status.attempts[0].outcome, cluster.status.restarts) == (AttemptOutcome.FAILURE, 1)
    assert cluster.status.state == State.SUSPENDED


def test_a_suspension_that_was_taken_back_in_time_leaves_no_trace() -> None:
    cluster = running(FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 4})))
    cluster.edit(suspend=True)
    cluster.reconcile()
    cluster.edit(suspend=False)
    cluster.settle()
    assert cluster.status.attempts[0].reason is None
    assert cluster.status.state == State.RUNNING
    cluster.evict(cluster.pod("arc-easy-0-1"))
    cluster.kubelet()
    cluster.settle()
    assert cluster.status.attempts[0].outcome == AttemptOutcome.DISRUPTION


def test_a_run_that_was_not_suspended_after_all_still_follows_its_number_of_nodes() -> None:
    cluster = running(FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 4})))
    cluster.edit(suspend=True)
    cluster.reconcile()
    cluster.edit(suspend=False)
    cluster.settle()
    cluster.job["spec"]["nodes"] = 4
    cluster.settle()
    cluster.kubelet()
    assert len(running(cluster).pods("Running")) == 4


def prepared(cluster: FakeCluster) -> str:
    """What is said of the data."""
    condition = condition_of(cluster.status.conditions, ConditionType.DATASET_PREPARED)
    assert condition is not None
    return condition.reason


def test_data_that_is_prepared_when_a_job_is_suspended_is_not_prepared_again() -> None:
    cluster = running(FakeCluster(job()))
    cluster.edit(suspend=True)
    cluster.end(cluster.pod("arc-easy-prepare"), Outcome.SUCCEEDED, facts={"dataset": {"rows": 9, "tokens": 99}})
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert (cluster.pods(), cluster.status.state, prepared(cluster)) == ([], State.SUSPENDED, "Prepared")
    assert cluster.status.dataset is not None
    assert cluster.status.dataset.rows == 9
    cluster.edit(suspend=False)
    cluster.settle()
    assert cluster.names() == ["arc-easy-0-0", "arc-easy-0-1"]


def test_data_that_is_prepared_while_its_pod_is_asked_to_leave_is_not_prepared_again() -> None:
    cluster = running(FakeCluster(job()))
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.end(cluster.pod("arc-easy-prepare"), Outcome.SUCCEEDED)
    cluster.kubelet()
    cluster.settle()
    assert (cluster.pods(), cluster.status.state, prepared(cluster)) == ([], State.SUSPENDED, "Prepared")


def test_a_mistake_in_the_data_is_told_though_the_job_is_suspended() -> None:
    cluster = running(FakeCluster(job()))
    cluster.edit(suspend=True)
    cluster.end(cluster.pod("arc-easy-prepare"), Outcome.DATASET_INVALID)
    cluster.settle()
    failed = condition_of(cluster.status.conditions, ConditionType.FAILED)
    assert failed is not None
    assert (cluster.status.state, failed.reason) == (State.FAILED, "DatasetInvalid")


def test_a_crash_of_the_prepare_pod_before_it_was_asked_to_leave_is_counted_and_one_after_it_is_not() -> None:
    for asked, restarts in ((False, 1), (True, 0)):
        cluster = running(FakeCluster(job()))
        cluster.edit(suspend=True)
        if asked:
            cluster.settle()
        cluster.exit(cluster.pod("arc-easy-prepare"), 1)
        cluster.settle()
        cluster.kubelet()
        cluster.settle()
        assert (cluster.pods(), cluster.status.state, prepared(cluster)) == ([], State.SUSPENDED, "Retrying")
        assert (cluster.status.restarts, cluster.status.prepare_disruptions) == (restarts, 0)
