"""The training configuration: one document, whose attribute names are the keys of the file."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from finetune_api.config.data import Loader, Loaders
from finetune_api.config.fsdp import FSDPConfig
from finetune_api.config.model import Model, Tokenizer
from finetune_api.config.observing import Algorithms, Callbacks, Loggers
from finetune_api.config.optimizer import Optimizer
from finetune_api.config.scheduler import Scheduler
from finetune_api.config.section import Section
from finetune_api.durations import Duration
from finetune_api.sizes import parse_size


def _positive(duration: Duration) -> Duration:
    if duration.value == 0:
        raise ValueError("must be longer than nothing")
    return duration


def _absolute(duration: Duration) -> Duration:
    if duration.unit == "dur":
        raise ValueError(f"{duration} is a fraction of itself; write 1ep, 100ba, 5000sp or 2000000tok")
    return duration


def _all_or_some(batches: int) -> int:
    if batches < -1 or batches == 0:
        raise ValueError(f"expected -1 (all batches) or a positive number, got {batches}")
    return batches


Positive = Annotated[Duration, AfterValidator(_positive)]
ByteCount = Annotated[int, BeforeValidator(parse_size)]
LOADER_KEYS = ("train_loader", "eval_loader", "eval_loaders")


class TrainingConfig(Section):
    """One fine-tuning run: what is trained on what, how, and what it leaves."""

    part: ClassVar[str] = "training"

    model: Model = Field(description="What is trained.")
    tokenizer: Tokenizer = Field(description="How text becomes tokens.")
    train_loader: Loader = Field(description="The rows to train on.")
    eval_loader: Loaders | None = Field(
        default=None, description="The rows to evaluate on: one loader, or a list with a label each."
    )
    eval_loaders: list[Loader] | None = Field(default=None, description="The same as a list in eval_loader.")
    optimizer: Optimizer = Field(description="How gradients become steps.")
    scheduler: Scheduler = Field(description="How the learning rate changes.")
    algorithms: Algorithms = Field(default_factory=Algorithms, description="Changes to the step.")

    max_seq_len: int = Field(gt=0, description="Longest sequence, in tokens.")
    max_duration: Annotated[Duration, AfterValidator(_absolute), AfterValidator(_positive)] = Field(
        description="Length of the run: 1ep, 100ba, 5000sp or 2000000tok."
    )
    global_train_batch_size: int = Field(
        gt=0, description="Rows of one optimizer step, over all ranks; must divide by their number."
    )
    device_train_microbatch_size: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="Rows computed at once on a rank; unset: the whole batch of a rank."
    )
    device_eval_batch_size: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="Rows evaluated at once on a rank; unset: as many as in training."
    )
    seed: int = Field(default=17, ge=0, description="Seeds weights and dropout, not the order of rows.")
    precision: Literal["amp_bf16", "fp32", "amp_fp16"] = Field(
        default="amp_bf16", description="What is computed in low precision; weights stay in fp32."
    )
    fsdp_config: FSDPConfig | None = Field(default=None, description="Sharding over the ranks; unset: replicated.")
    dist_timeout: float = Field(
        default=600.0, gt=0, description="Seconds for which ranks wait for each other in a step."
    )
    accumulate_train_batch_on_tokens: Literal[True] = Field(
        default=True, description="The loss is a mean over target tokens of the global batch; must be true."
    )

    eval_interval: Duration = Field(
        default=Duration(1, "ep"), description="Time between evaluations; an integer is epochs, 0 is never."
    )
    eval_first: bool = Field(default=False, description="Whether to evaluate before the first step.")
    eval_subset_num_batches: Annotated[int, AfterValidator(_all_or_some)] = Field(
        default=-1, description="Batches of each evaluation; -1: all."
    )

    save_folder: str | None = Field(
        default=None, min_length=1, description="Directory of checkpoints; default: the run's output."
    )
    save_interval: Positive = Field(default=Duration(1000, "ba"), description="Time between checkpoints.")
    save_num_checkpoints_to_keep: int = Field(
        default=-1, ge=-1, description="How many are kept; -1: all. The newest is never deleted."
    )
    save_max_bytes: ByteCount | None = Field(
        default=None,
        description="Bytes, or an amount such as 20GiB, that checkpoints may take together: the oldest go first, the "
        "newest never. One more is there while it is written.",
    )
    save_weights_only: bool = Field(default=False, description="Whether optimizer state is left out.")
    load_path: str | None = Field(default=None, min_length=1, description="A checkpoint to start from.")
    load_weights_only: bool = Field(default=False, description="Whether only its weights are loaded.")
    autoresume: bool = Field(default=False, description="Whether an interrupted run is continued.")

    run_name: str | None = Field(default=None, min_length=1, description="Name of the run; default: $RUN_NAME.")
    progress_bar: bool = Field(default=False, description="Whether a terminal shows a progress bar.")
    log_to_console: bool = Field(default=True, description="Whether metrics are printed.")
    console_log_interval: Positive = Field(default=Duration(1, "ba"), description="Time between printed lines.")
    callbacks: Callbacks = Field(default_factory=Callbacks, description="What watches the run.")
    loggers: Loggers = Field(default_factory=Loggers, description="Where metrics go besides metrics.jsonl.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Kept in run.json, not used.")
    variables: dict[str, Any] = Field(
        default_factory=dict, description="Values that ${variables.NAME} refers to elsewhere in the file."
    )

    @model_validator(mode="before")
    @classmethod
    def _share_max_seq_len(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        length = data.get("max_seq_len")
        # Any length will do while the top-level one is wrong: that is the mistake to report.
        length = length if type(length) is int and length > 0 else 1
        return {key: with_max_seq_len(value, length) if key in LOADER_KEYS else value for key, value in data.items()}

    @property
    def eval_loaders_by_label(self) -> dict[str, Loader]:
        """Return the evaluations by label; a single one without a label is `eval`."""
        loaders = self.eval_loader or self.eval_loaders or []
        listed = loaders if isinstance(loaders, list) else [loaders]
        return {loader.label or "eval": loader for loader in listed}

    def resolved(self) -> dict[str, Any]:
        """Return the configuration as JSON-able values that load into an equal configuration."""
        dumped: dict[str, Any] = self.model_dump(mode="json")
        return {key: escaped(value) for key, value in dumped.items()}


def with_max_seq_len(loader: Any, length: int) -> Any:
    """Return a raw loader, or list of them, whose dataset has a `max_seq_len`."""
    if isinstance(loader, list):
        return [with_max_seq_len(item, length) for item in loader]
    dataset = loader.get("dataset") if isinstance(loader, Mapping) else None
    if not isinstance(dataset, Mapping) or dataset.get("max_seq_len") is not None:
        return loader
    return {**loader, "dataset": {**dataset, "max_seq_len": length}}


def escaped(value: Any) -> Any:
    """Return `value` with its `${` escaped, so that loading it does not take them for interpolations."""
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return escape_text(value) if isinstance(value, str) else value


def escape_text(text: str) -> str:
    """Return `text` with an odd number of backslashes before each `${`."""
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", text)
