"""`train_loader` and `eval_loader`: which rows are read and how they become tokens and targets."""

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Discriminator, Field, Tag

from finetune_api.config.section import Section, checked

_FUNCTION: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_TARGET_PROMPTS: Final = re.compile(r"none|all|length>=[1-9]\d*")
_MAPPINGS: Final = ({"prompt", "response"}, {"prompt", "completion"})


def _check_preprocessing(value: object) -> None:
    if isinstance(value, str) and _FUNCTION.fullmatch(value):
        return
    texts = isinstance(value, dict) and all(isinstance(column, str) and column for column in value.values())
    if isinstance(value, dict) and texts and set(value) in _MAPPINGS:
        return
    raise ValueError(
        f"{value!r} is not a preprocessing function; write module:function, or {{prompt: COLUMN, response: COLUMN}}"
    )


def _check_target_prompts(value: object) -> None:
    if not isinstance(value, str) or not _TARGET_PROMPTS.fullmatch(value):
        raise ValueError(f"expected none, all or length>=N (such as length>=128), got {value!r}")


class FinetuningDataset(Section):
    """`dataset` of a finetuning loader: rows of prompts and responses, or of chat messages."""

    part: ClassVar[str] = "dataset"

    hf_name: str = Field(
        min_length=1,
        description="First argument of datasets.load_dataset: json, csv, parquet, a directory or a hub name.",
    )
    hf_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Passed on to datasets.load_dataset: data_dir, data_files, revision, name, …",
    )
    split: str = Field(default="train", min_length=1, description="Which split is read.")
    preprocessing_fn: Annotated[str | dict[str, str] | None, checked(_check_preprocessing)] = Field(
        default=None,
        description="module:function that turns a record into a row, or the columns that hold its parts.",
    )
    safe_load: bool = Field(
        default=False, description="Whether only data files are read; code is never run either way."
    )
    max_seq_len: int = Field(gt=0, description="Rows are cut to this many tokens; default: the top-level max_seq_len.")
    decoder_only_format: Literal[True] = Field(
        default=True, description="Prompt and response form one sequence; must be true."
    )
    shuffle: bool = Field(default=False, description="Whether each epoch has an order of its own.")
    shuffle_seed: int = Field(default=0, ge=0, description="Epoch e is shuffled with this seed + e.")
    target_prompts: Annotated[str, checked(_check_target_prompts)] = Field(
        default="none", description="Which prompts are learned as well: none, all or length>=N tokens."
    )
    target_responses: Literal["last", "all"] = Field(
        default="last", description="Which responses of a chat are learned."
    )
    allow_pad_trimming: bool | None = Field(
        default=None, description="false: pad to max_seq_len; unset: the fastest exact layout."
    )
    pad_to_longest: bool | None = Field(
        default=None, description="true: pad to the longest row of a batch; unset: the fastest exact layout."
    )
    eos_token_id: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Checked against the tokenizer's EOS token."
    )
    bos_token_id: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Checked against the tokenizer's BOS token."
    )


class Loader(Section):
    """A finetuning loader; batch sizes and worker processes follow torch's DataLoader."""

    part: ClassVar[str] = "loader"

    name: Literal["finetuning"] = Field(description="The kind of loader.")
    label: str | None = Field(
        default=None, min_length=1, description="Name of the evaluation; required in a list of loaders."
    )
    dataset: FinetuningDataset = Field(description="The rows.")
    drop_last: bool = Field(default=False, description="Whether the rows left over at the end of an epoch are skipped.")
    num_workers: int = Field(default=0, ge=0, description="Worker processes that load batches.")
    pin_memory: bool = Field(default=True, description="Whether batches are copied to pinned memory.")
    prefetch_factor: int = Field(default=2, ge=1, description="Batches each worker loads ahead.")
    persistent_workers: bool = Field(default=True, description="Whether workers live through epochs.")
    timeout: float = Field(default=0, ge=0, description="Seconds to wait for a batch; 0: no limit.")


def _one_or_many(value: object) -> str:
    return "many" if isinstance(value, list | tuple) else "one"


Loaders = Annotated[Annotated[Loader, Tag("one")] | Annotated[list[Loader], Tag("many")], Discriminator(_one_or_many)]
"""One loader, or a list of them with a label each."""
