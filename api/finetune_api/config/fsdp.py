"""`fsdp_config`: FSDP1-style keys, mapped to FSDP2 by the trainer."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from finetune_api.config.section import Section, uppercase


class FSDPConfig(Section):
    """How parameters, gradients and optimizer state are sharded over the ranks."""

    part: ClassVar[str] = "fsdp"

    sharding_strategy: Annotated[Literal["FULL_SHARD", "SHARD_GRAD_OP", "NO_SHARD"], BeforeValidator(uppercase)] = (
        Field(default="FULL_SHARD", description="FULL_SHARD and SHARD_GRAD_OP shard; NO_SHARD replicates.")
    )
    mixed_precision: Annotated[Literal["PURE", "DEFAULT", "FULL"], BeforeValidator(uppercase)] = Field(
        default="DEFAULT",
        description="PURE: compute and reduce in low precision; DEFAULT: reduce in fp32; FULL: leave it to autocast.",
    )
    activation_checkpointing: bool = Field(
        default=False, description="Whether blocks are recomputed in the backward pass to save memory."
    )
    activation_cpu_offload: bool = Field(
        default=False, description="Whether activations wait for the backward pass in the CPU's memory."
    )
    cpu_offload: bool = Field(default=False, description="Whether parameters live in the CPU's memory between uses.")
