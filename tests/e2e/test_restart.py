"""A pod that dies in the middle of a run: the group starts again at the last checkpoint."""

from pathlib import Path

import pytest

from cluster.provider import Cluster
from finetune_api.names import training_pod_name
from finetune_api.status import JobStatus
from support.arc_runs import step_lines
from support.example_job import CLAIM, NAME, example_job, give_inputs
from support.history import watched
from support.workspace import Workspace

_EPOCHS = 15
_KILL_RANK = """
import os, pathlib, signal
(file,) = pathlib.Path("/scratch").glob("run-*/pid.[0-9]*")
os.kill(int(file.read_text()), signal.SIGKILL)
"""


def _has_checkpoint(status: JobStatus) -> bool:
    return bool(status.progress and status.progress.last_checkpoint_step)


def test_a_killed_pod_costs_at_most_the_steps_since_the_last_checkpoint(
    cluster: Cluster, workspace: Workspace, model: Path
) -> None:
    give_inputs(workspace, model)
    victim = training_pod_name(NAME, 0, 1)
    with watched(workspace.kubeconfig, workspace.namespace) as history:
        workspace.apply(example_job(epochs=_EPOCHS))
        workspace.until(NAME, _has_checkpoint)
        workspace.kubectl("delete", "pod", victim, "--grace-period=0", "--force", "--wait=false")
        status = workspace.until_state(NAME, "Complete")

    first, second = status.attempts
    assert (first.number, first.outcome, second.number, second.outcome) == (0, "Disruption", 1, "Succeeded")
    assert status.restarts == 0, "a pod that was taken away is not the job's failure"
    assert first.checkpoint_step
    assert second.first_step == first.checkpoint_step
    assert second.last_step
    assert second.last_step > second.first_step

    assert history.last_end(0) < history.first_pod(1), "pods of two attempts were there at the same time"
    deleted = history.first_deletion(0, besides=victim)
    assert deleted is not None, "the survivor was not asked to leave"
    assert history.outcome_recorded(0) < deleted
    output = cluster.claimed_directory(workspace.namespace, CLAIM)
    if output is None:
        pytest.skip("the files of this cluster's volumes cannot be read from here")
    steps = [line["step"] for line in step_lines(output)]
    assert steps == sorted(set(steps)), "a step was counted twice"
    assert len(steps) == second.last_step


def test_a_killed_process_uses_up_a_restart(workspace: Workspace, model: Path) -> None:
    give_inputs(workspace, model)
    workspace.apply(example_job(epochs=_EPOCHS, runPolicy={"maxRestarts": 1}))
    workspace.until(NAME, _has_checkpoint)
    workspace.kubectl("exec", training_pod_name(NAME, 0, 1), "-c", "trainer", "--", "python", "-c", _KILL_RANK)
    status = workspace.until_state(NAME, "Complete")
    assert [attempt.outcome for attempt in status.attempts] == ["Failure", "Succeeded"]
    assert status.restarts == 1
    assert "SIGKILL" in (status.attempts[0].message or "")
    assert "AttemptEnded" in workspace.reasons(NAME)


def test_a_suspended_job_goes_on_where_it_stopped(workspace: Workspace, model: Path) -> None:
    give_inputs(workspace, model)
    workspace.apply(example_job(epochs=_EPOCHS))
    workspace.until(NAME, lambda status: bool(status.progress and status.progress.step))
    _suspend(workspace, True)
    stopped = workspace.until_state(NAME, "Suspended")
    assert workspace.pods(NAME, training=True) == []
    assert stopped.attempts[-1].outcome == "Suspended"
    assert stopped.attempts[-1].checkpoint_step == stopped.attempts[-1].last_step, "a step was lost"
    _suspend(workspace, False)
    status = workspace.until_state(NAME, "Complete")
    assert status.attempts[-1].first_step == stopped.attempts[-1].checkpoint_step


def _suspend(workspace: Workspace, wanted: bool) -> None:
    patch = f'{{"spec": {{"runPolicy": {{"suspend": {str(wanted).lower()}}}}}}}'
    workspace.kubectl("patch", "finetunejob", NAME, "--type=merge", "-p", patch)
