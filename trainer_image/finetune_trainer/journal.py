"""What the training code tells about the course of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from finetune_api.outcomes import Outcome
from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.data.prepared import PreparedData
from finetune_trainer.fence import Fence
from finetune_trainer.run_dir import Phase
from finetune_trainer.train.evaluate import EvalResult
from finetune_trainer.train.step import StepResult
from finetune_trainer.train.timeline import Timeline
from finetune_trainer.train.world import World


class Journal:
    """Keeps nothing, as on every rank but the first; `RunJournal` is the one that writes."""

    def phase(self, phase: Phase) -> None:
        """Say what the run is doing from now on."""

    def message(self, text: str) -> None:
        """Say something once to whoever watches."""

    def warn(self, text: str) -> None:
        """Say something that somebody should look into."""

    def own(self, world: World, fence: Fence) -> None:
        """Begin to write to the output, until a newer attempt owns it."""

    def begin(
        self,
        prepared: PreparedData,
        timeline: Timeline,
        rows: Mapping[str, TokenizedDataset],
        tokenizer: PreTrainedTokenizerBase,
        first: int,
    ) -> None:
        """Begin the metrics after `first` steps that are done already."""

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the evaluations recorded so far, those of earlier attempts included."""
        return []

    def step(self, step: int, rows: np.ndarray, result: StepResult, lr: float, seconds: float) -> None:
        """Tell one optimizer step, counted from 1."""

    def evaluation(self, step: int, label: str, result: EvalResult) -> None:
        """Tell the result of one evaluation set after `step` optimizer steps."""

    def sync(self) -> None:
        """Make durable what was told of the steps so far, before a checkpoint that stands for them exists."""

    def checkpoint(self, step: int, seconds: float, *, weights_only: bool = False) -> None:
        """Tell that a checkpoint of `step` exists, and how long it took."""

    def close(self, outcome: Outcome, message: str, step: int | None) -> None:
        """Tell how the attempt ended, and write what is left to write."""
