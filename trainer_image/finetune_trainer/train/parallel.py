"""Spread a model over the ranks: sharded with FSDP2 when `fsdp_config` asks for it, replicated otherwise.

The order is the design: structure on the meta device, shard, materialise, then load from rank 0, so that no rank but
the first ever holds the whole model.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)
from transformers import PreTrainedConfig, PreTrainedModel

from finetune_api.config import TrainingConfig
from finetune_trainer.train.model import load_model, meta_model
from finetune_trainer.train.precision import COMPUTE_DTYPES
from finetune_trainer.train.world import World


def is_sharded(config: TrainingConfig) -> bool:
    """Return whether the configuration asks for FSDP2."""
    return config.fsdp_config is not None and config.fsdp_config.sharding_strategy != "NO_SHARD"


def build_model(config: TrainingConfig, model_config: PreTrainedConfig, world: World) -> PreTrainedModel:
    """Return the loaded model on this rank's device, sharded or whole, with activation checkpointing as configured."""
    model = _sharded(config, model_config, world) if is_sharded(config) else _whole(config, model_config, world)
    if config.fsdp_config is not None and config.fsdp_config.activation_checkpointing:
        model.activation_checkpointing_enable()
    return model


def _whole(config: TrainingConfig, model_config: PreTrainedConfig, world: World) -> PreTrainedModel:
    # Every rank reads the same files, or draws the same weights from the same seed.
    return load_model(config, model_config).to(world.device)


def _sharded(config: TrainingConfig, model_config: PreTrainedConfig, world: World) -> PreTrainedModel:
    source = load_model(config, model_config) if world.is_main else None
    model = meta_model(config, model_config)
    apply_fsdp(config, model, world)
    model.to_empty(device=world.device)
    model.tie_weights()
    weights = source.state_dict() if source is not None else {}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=world.size > 1)
    set_model_state_dict(model, weights, options=options)
    _broadcast_buffers(model, source, world)
    return model


def apply_fsdp(config: TrainingConfig, model: PreTrainedModel, world: World) -> None:
    """Shard each block and then the root over all ranks, with sums instead of means as the gradients' reduction."""
    settings = config.fsdp_config
    assert settings is not None
    options: dict[str, Any] = {
        "mesh": init_device_mesh(world.device.type, (world.size,)),
        "reshard_after_forward": settings.sharding_strategy != "SHARD_GRAD_OP",
        "mp_policy": mixed_precision(config),
        "offload_policy": CPUOffloadPolicy() if settings.cpu_offload else OffloadPolicy(),
    }
    for block in blocks(model):
        fully_shard(block, **options)
    fully_shard(model, **options)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # The loss is already divided by the global batch's targets, and gloo cannot divide while it reduces.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def blocks(model: PreTrainedModel) -> list[nn.Module]:
    """Return the model's repeated blocks, as its architecture names them."""
    names = set(model._no_split_modules or ())
    return [module for module in model.modules() if type(module).__name__ in names]


def mixed_precision(config: TrainingConfig) -> MixedPrecisionPolicy:
    """Return FSDP2's policy for FSDP1's names: PURE reduces in the low dtype too, DEFAULT in fp32, FULL never casts."""
    settings = config.fsdp_config
    assert settings is not None
    low = COMPUTE_DTYPES[config.precision]
    if low is torch.float32 or settings.mixed_precision == "FULL":
        return MixedPrecisionPolicy()
    return MixedPrecisionPolicy(
        param_dtype=low, reduce_dtype=low if settings.mixed_precision == "PURE" else torch.float32
    )


def _broadcast_buffers(model: nn.Module, source: nn.Module | None, world: World) -> None:
    # Buffers outside the state dict (rotary frequencies, for one) are computed when a model is built, which the meta
    # device cannot do; rank 0 has them.
    real = dict(source.named_buffers()) if source is not None else {}
    for name, buffer in model.named_buffers():
        if name in real:
            buffer.copy_(real[name])
        if world.size > 1:
            dist.broadcast(buffer, src=0)
