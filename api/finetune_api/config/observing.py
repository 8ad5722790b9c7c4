"""`callbacks`, `loggers` and `algorithms`: what watches a run, and gradient clipping."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from finetune_api.config.section import Section, checked
from finetune_api.durations import Duration

TimeUnit = Literal["seconds", "minutes", "hours", "days"]


class SpeedMonitor(Section):
    """Throughput over a window of batches."""

    part: ClassVar[str] = "speed_monitor"

    window_size: int = Field(default=100, ge=1, description="Batches in the moving window.")
    time_unit: TimeUnit = Field(default="hours", description="Unit of the wall clock in the log.")


class LRMonitor(Section):
    """The learning rate at each step; always recorded in metrics.jsonl."""


class MemoryMonitor(Section):
    """Peak memory of the device at each step."""

    part: ClassVar[str] = "memory_monitor"


class RuntimeEstimator(Section):
    """The time left, from the speed so far."""

    skip_batches: int = Field(default=1, ge=0, description="First batches left out of the estimate.")
    time_unit: TimeUnit = Field(default="hours", description="Unit of the estimate in the log.")


def _check_folder_name(value: object) -> None:
    try:
        str(value).format(batch=0, epoch=0)
    except (KeyError, IndexError, ValueError):
        raise ValueError(f"{value!r} may hold {{batch}} and {{epoch}}, and no other braces") from None


class HFCheckpointer(Section):
    """Exports the model in transformers' format while the run goes on."""

    part: ClassVar[str] = "hf_checkpointer"

    save_folder: str | None = Field(default=None, description="Where to; default: the run's output.")
    save_interval: Duration = Field(default=Duration(1, "dur"), description="How often; 1dur: at the end.")
    huggingface_folder_name: Annotated[str, checked(_check_folder_name)] = Field(
        default="ba{batch}", min_length=1, description="Name of each export; {batch} and {epoch} are filled."
    )
    precision: Literal["float32", "bfloat16", "float16"] | None = Field(
        default=None, description="dtype of exported weights; default: the source checkpoint's."
    )
    overwrite: bool = Field(default=True, description="Whether an export of the same name is replaced.")


class EarlyStopper(Section):
    """Ends a run whose evaluation no longer improves."""

    monitor: str = Field(min_length=1, description="The metric watched, such as loss or perplexity.")
    dataloader_label: str = Field(default="eval", min_length=1, description="Label of the evaluation it comes from.")
    comp: Literal["less", "greater"] | None = Field(
        default=None, description="Which direction is better; unset: less, as for a loss and a perplexity."
    )
    patience: Duration = Field(default=Duration(1, "ep"), description="How long without improvement.")
    min_delta: float = Field(default=0.0, ge=0, description="The least change that is an improvement.")


class Callbacks(Section):
    """Callbacks by name; `{}` or nothing after the colon gives the defaults."""

    part: ClassVar[str] = "callbacks"
    empty_when_null: ClassVar[bool] = True

    speed_monitor: SpeedMonitor | None = Field(default=None, description="Throughput.")
    lr_monitor: LRMonitor | None = Field(default=None, description="Learning rate.")
    memory_monitor: MemoryMonitor | None = Field(default=None, description="Memory of the device.")
    runtime_estimator: RuntimeEstimator | None = Field(default=None, description="Time left.")
    hf_checkpointer: HFCheckpointer | None = Field(default=None, description="Exports during the run.")
    early_stopper: EarlyStopper | None = Field(default=None, description="Stops without improvement.")


class TensorBoard(Section):
    """Writes metrics for TensorBoard."""

    log_dir: str | None = Field(default=None, description="Where to; default: OUTPUT/tensorboard.")
    flush_interval: int = Field(default=100, ge=1, description="Steps between writes to disk.")
    rank_zero_only: bool = Field(default=True, description="Only rank 0 writes; must be true to matter.")


class Loggers(Section):
    """Loggers by name; metrics.jsonl is written in any case."""

    part: ClassVar[str] = "loggers"
    empty_when_null: ClassVar[bool] = True

    tensorboard: TensorBoard | None = Field(default=None, description="TensorBoard event files.")


class GradientClipping(Section):
    """Bounds gradients before each optimizer step."""

    part: ClassVar[str] = "gradient_clipping"

    clipping_type: Literal["norm", "value"] = Field(
        description="norm: scale all gradients to a total norm; value: clip each element."
    )
    clipping_threshold: Annotated[float, Field(gt=0)] = Field(description="The bound.")


class Algorithms(Section):
    """Changes to the training step."""

    part: ClassVar[str] = "algorithms"

    gradient_clipping: GradientClipping | None = Field(default=None, description="Bounds on gradients.")
