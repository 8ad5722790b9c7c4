"""Which operations run in which dtype, and the loss scale that float16 needs."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from finetune_api.config import TrainingConfig
from finetune_api.errors import Diverged

COMPUTE_DTYPES = {"fp32": torch.float32, "amp_bf16": torch.bfloat16, "amp_fp16": torch.float16}

SKIPS_BEFORE_DIVERGED = 20


def autocast(config: TrainingConfig, device: torch.device, *, sharded_low: bool) -> AbstractContextManager[object]:
    """Return the context of forward passes: autocast, unless fp32 or unless FSDP2 already casts the parameters."""
    dtype = COMPUTE_DTYPES[config.precision]
    if dtype is torch.float32 or sharded_low:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def describe_dtypes(config: TrainingConfig, *, sharded_low: bool) -> str:
    """Return one sentence on the dtypes of parameters, computation, gradients and their reduction."""
    low = str(COMPUTE_DTYPES[config.precision]).removeprefix("torch.")
    pure = sharded_low and config.fsdp_config is not None and config.fsdp_config.mixed_precision == "PURE"
    how = "no casts" if low == "float32" else "FSDP2 casts parameters" if sharded_low else "autocast"
    reduced = low if pure else "float32"
    return f"parameters float32, computed in {low} ({how}), gradients float32, reduced in {reduced}"


class LossScale:
    """The dynamic loss scale of `amp_fp16`, 1 for every other precision.

    It doubles after 2,000 good steps and halves after an overflow, as in arXiv:1710.03740; an overflow skips the step.
    """

    def __init__(self, precision: str) -> None:
        self.enabled = precision == "amp_fp16"
        self.value = 65536.0 if self.enabled else 1.0
        self.good_steps = 0
        self.skipped_in_a_row = 0

    def unscale(self, gradients: list[Tensor]) -> None:
        """Divide the gradients by the scale, in place."""
        if self.enabled:
            torch._foreach_mul_(gradients, 1.0 / self.value)

    def accepts(self, *, finite: bool, step: int) -> bool:
        """Return whether the step may be taken, and adapt; raises Diverged after twenty overflows in a row."""
        if not self.enabled:
            return finite
        self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1
        if self.skipped_in_a_row >= SKIPS_BEFORE_DIVERGED:
            raise Diverged(
                f"float16 overflowed in {SKIPS_BEFORE_DIVERGED} steps in a row, the last of them {step}",
                step=step,
            )
        self.good_steps = self.good_steps + 1 if finite else 0
        if not finite:
            self.value /= 2
        elif self.good_steps == 2000:
            self.value, self.good_steps = self.value * 2, 0
        return finite

    def state(self) -> dict[str, float]:
        """Return what a checkpoint must keep."""
        return {"value": self.value, "good_steps": self.good_steps, "skipped_in_a_row": self.skipped_in_a_row}

    def restore(self, state: dict[str, float]) -> None:
        """Take over what a checkpoint kept."""
        self.value = state["value"]
        self.good_steps, self.skipped_in_a_row = int(state["good_steps"]), int(state["skipped_in_a_row"])
