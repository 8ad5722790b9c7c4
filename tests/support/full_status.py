"""A status with every part of it set."""

from datetime import UTC, datetime

from finetune_api.reasons import AttemptOutcome, ConditionType, State, reason_of
from finetune_api.status import (
    AttemptStatus,
    DatasetStatus,
    FailureStatus,
    FrozenStatus,
    JobStatus,
    OutputsStatus,
    ProgressStatus,
    with_condition,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FULL = JobStatus(
    observed_generation=3,
    conditions=with_condition((), reason_of(ConditionType.RUNNING, "Training"), "It trains.", NOW, 3),
    state=State.RUNNING,
    start_time=NOW,
    running_time=NOW,
    completion_time=NOW,
    restarts=1,
    prepare_retry_time=NOW,
    earlier_disruptions=1,
    earlier_fruitless=2,
    active_seconds=60,
    attempts=(
        AttemptStatus(
            number=0,
            nodes=2,
            start_time=NOW,
            end_time=NOW,
            outcome=AttemptOutcome.FAILURE,
            reason="Crashed",
            first_step=0,
            last_step=7,
            checkpoint_step=5,
            running_time=NOW,
            ending_time=NOW,
            waiting_since=NOW,
            placing_time=NOW,
            wanted_nodes=4,
            grace_seconds=300,
            avoided_nodes=("n1", "n2"),
            message="Killed.",
        ),
        AttemptStatus(number=1, nodes=2),
    ),
    dataset=DatasetStatus(rows=90, tokens=9000, dropped=2, sha256="0" * 64),
    progress=ProgressStatus(
        step=7, total_steps=20, epoch=0.5, loss=2.5, percent=35, last_step_time=NOW, save_seconds=9
    ),
    outputs=OutputsStatus(model="/output/model", checkpoint="/output/checkpoints/ba5", report="/output/report.html"),
    failure=FailureStatus(
        reason="Crashed", rank=1, pod="arc-0-1", node="n1", step=7, exit_code=-9, message="Killed.", traceback="boom"
    ),
    frozen=FrozenStatus(image="example.com/trainer@sha256:0", config_sha256="0" * 64, prepare_mode="Pod"),
)
