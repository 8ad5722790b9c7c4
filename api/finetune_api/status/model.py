"""`status` of a FinetuneJob: all that the operator reports, and all that it remembers."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field

from finetune_api.reasons import AttemptOutcome, State
from finetune_api.status.conditions import Condition
from finetune_api.status.part import (
    Amount,
    Duration,
    Line,
    Measured,
    Message,
    NodeName,
    Number,
    Percentage,
    StatusPart,
    Timestamp,
    Trace,
    Word,
)

ATTEMPTS_KEPT: Final = 10
NODES_AVOIDED: Final = 10
LONGEST_GRACE: Final = 3600
"""Seconds; no pod is given longer to save."""
NEVER_OBSERVED: Final = -1
"""`observedGeneration` of a job that no operator has seen; the API server fills it in."""


Nodes = Annotated[int, Field(ge=1, le=1000)]


class AttemptStatus(StatusPart):
    """One attempt at the run: a group of pods that start and end together."""

    number: Number = Field(description="Counts from 0; part of the names of its pods.")
    nodes: Nodes = Field(description="Pods of the attempt.")
    wanted_nodes: Nodes | None = Field(
        default=None,
        description="spec.nodes when the attempt was decided, or after a change since that came to the same number of "
        "nodes; with elastic it may have fewer.",
    )
    grace_seconds: Annotated[int, Field(ge=0, le=LONGEST_GRACE)] | None = Field(
        default=None,
        description="Time its pods have to save after SIGTERM: runPolicy.gracePeriodSeconds, or more where saves were "
        "seen to need it.",
    )
    avoided_nodes: Annotated[tuple[NodeName, ...], Field(max_length=NODES_AVOIDED)] | None = Field(
        default=None, description="Nodes on which none of its pods is placed, as earlier attempts failed there."
    )
    waiting_since: Timestamp | None = Field(
        default=None,
        description="When the first of the attempts just before it was to start that were replaced as their pods "
        "never all ran; runPolicy.pendingDeadlineSeconds counts from there.",
    )
    start_time: Timestamp | None = Field(
        default=None, description="When its pods were to be created; unset: decided, and its turn has not come."
    )
    placing_time: Timestamp | None = Field(
        default=None,
        description="When a pod was first seen to find no node, with none in a queue any more, or last did find one in "
        "an attempt before it that looked for the same nodes.",
    )
    running_time: Timestamp | None = Field(default=None, description="When all its pods ran.")
    ending_time: Timestamp | None = Field(
        default=None, description="When a pod was first seen to have ended, while others could still tell why."
    )
    end_time: Timestamp | None = Field(default=None, description="When it was over; unset: it is not.")
    outcome: AttemptOutcome | None = Field(
        default=None, description="What it counts as: only Failure and Hang use up runPolicy.maxRestarts."
    )
    reason: Word | None = Field(default=None, description="CamelCase word for how it ended.")
    message: Message | None = Field(default=None, description="A sentence for how it ended.")
    first_step: Number | None = Field(default=None, description="Step it started from.")
    last_step: Number | None = Field(default=None, description="Last step it finished.")
    checkpoint_step: Number | None = Field(default=None, description="Step of the last checkpoint it saved.")


class DatasetStatus(StatusPart):
    """The prepared dataset."""

    rows: Number | None = Field(default=None, description="Rows to train on.")
    tokens: Number | None = Field(default=None, description="Tokens in them, without padding.")
    dropped: Number | None = Field(default=None, description="Rows of the source that were left out.")
    sha256: Word | None = Field(default=None, description="Hash of the prepared content.")


class ProgressStatus(StatusPart):
    """How far training is, as rank 0 last told; up to a minute old while many jobs run."""

    step: Number | None = Field(default=None, description="Optimizer steps finished.")
    total_steps: Number | None = Field(default=None, description="Steps of the whole run.")
    epoch: Amount | None = Field(default=None, description="Passes over the rows, with a fraction.")
    loss: Measured | None = Field(default=None, description="Mean loss per target token of the last step.")
    eval_loss: Measured | None = Field(default=None, description="The same at the last evaluation.")
    tokens_per_second: Amount | None = Field(default=None, description="Speed of all ranks together.")
    percent: Percentage | None = Field(default=None, description="Part of the run that is done.")
    estimated_completion_time: Timestamp | None = Field(
        default=None, description="When the run should end at its speed so far; unset when it does not run."
    )
    last_checkpoint_step: Number | None = Field(
        default=None, description="Step of the newest checkpoint to resume from."
    )
    last_step_time: Timestamp | None = Field(default=None, description="When the last step was finished.")
    save_seconds: Duration | None = Field(default=None, description="Longest save of the attempt so far.")
    step_seconds: Duration | None = Field(default=None, description="Longest step of the attempt after its first.")


class OutputsStatus(StatusPart):
    """What the run left, as paths on the output volume."""

    model: Line | None = Field(default=None, description="Directory of the finished model, for transformers.")
    checkpoint: Line | None = Field(
        default=None, description="Directory of the checkpoints, the newest of which counts."
    )
    report: Line | None = Field(default=None, description="The report of the run.")


class FailureStatus(StatusPart):
    """The cause of the last attempt that did not end well, of all its pods the one that failed first."""

    reason: Word = Field(description="CamelCase word for the cause.")
    rank: Number | None = Field(default=None, description="The rank that failed first.")
    pod: Line | None = Field(default=None, description="The pod of that rank.")
    node: Line | None = Field(default=None, description="The node of that pod.")
    step: Number | None = Field(default=None, description="The last step that rank finished.")
    exit_code: Annotated[int, Field(ge=-255, le=255)] | None = Field(default=None, description="Its exit code.")
    message: Message = Field(default="", description="What is wrong, where, and what to do.")
    traceback: Trace | None = Field(default=None, description="The end of its traceback or, of a hang, of its stack.")

    def where(self) -> str:
        """Return where it happened in a few words, as far as that is known."""
        places = {"rank": self.rank, "pod": self.pod, "node": self.node, "step": self.step, "exit code": self.exit_code}
        return ", ".join(f"{name} {value}" for name, value in places.items() if value is not None)


class FrozenStatus(StatusPart):
    """What was settled when the job was first seen; every attempt uses it."""

    image: Line | None = Field(default=None, description="Trainer image of every attempt.")
    config_sha256: Word | None = Field(default=None, description="Hash of the resolved configuration.")
    code_sha256: Word | None = Field(default=None, description="Hash of the ConfigMap in spec.code.")
    prepare_mode: Literal["Pod", "Inline"] | None = Field(default=None, description="What prepare.mode came to.")
    processes_per_node: Annotated[int, Field(ge=1, le=64)] | None = Field(default=None, description="Ranks per node.")


class JobStatus(StatusPart):
    """What the operator reports."""

    observed_generation: Annotated[int, Field(ge=-1, le=2**53)] = Field(
        default=NEVER_OBSERVED, description="metadata.generation that this status speaks of; -1: not seen yet."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = Field(
        default=(), description="What is true of the job: Complete, Failed, Suspended, DatasetPrepared, Running, …"
    )
    state: State | None = Field(default=None, description="One word for the whole job, derived from its conditions.")
    start_time: Timestamp | None = Field(default=None, description="When the operator accepted the job.")
    running_time: Timestamp | None = Field(default=None, description="When all pods of an attempt first ran.")
    completion_time: Timestamp | None = Field(default=None, description="When the job was over, well or not.")
    restarts: Number = Field(default=0, description="Failed attempts that were followed by another.")
    prepare_disruptions: Number = Field(
        default=0, description="How often the pod that prepares was taken away before it had finished."
    )
    prepare_retry_time: Timestamp | None = Field(
        default=None, description="When the pod that prepares was last found to need another in its place."
    )
    prepare_ended_uid: Word | None = Field(
        default=None, description="The pod that prepares whose end was last recorded."
    )
    active_seconds: Number = Field(
        default=0, description="Running time of all ended attempts; runPolicy.activeDeadlineSeconds bounds it."
    )
    attempts: Annotated[tuple[AttemptStatus, ...], Field(max_length=ATTEMPTS_KEPT)] = Field(
        default=(), description="The last ten attempts, oldest first."
    )
    earlier_disruptions: Number | None = Field(
        default=None,
        description="Disruptions in a row without a new checkpoint, just before the attempts listed here.",
    )
    earlier_fruitless: Number | None = Field(
        default=None,
        description="Attempts in a row without a new checkpoint, just before those listed here; the pause before the "
        "next one grows with them.",
    )
    dataset: DatasetStatus | None = Field(default=None, description="The prepared dataset.")
    progress: ProgressStatus | None = Field(default=None, description="How far training is.")
    outputs: OutputsStatus | None = Field(default=None, description="What the run left on the output volume.")
    failure: FailureStatus | None = Field(
        default=None, description="The cause of the last attempt that did not end well."
    )
    frozen: FrozenStatus | None = Field(default=None, description="What every attempt uses.")

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return the status of a job as the API server gave it; a job never observed has an empty one."""
        return cls.model_validate(document.get("status") or {})
