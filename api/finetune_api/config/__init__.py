"""The training configuration: one YAML file in, one checked `TrainingConfig` out."""

from finetune_api.config.checks import check_schedule, check_world
from finetune_api.config.data import FinetuningDataset, Loader
from finetune_api.config.fsdp import FSDPConfig
from finetune_api.config.lints import lint
from finetune_api.config.load import LoadedConfig, load_training_config, parse_training_config
from finetune_api.config.model import HFCausalLM, MPTCausalLM, Tokenizer
from finetune_api.config.observing import (
    Algorithms,
    Callbacks,
    EarlyStopper,
    GradientClipping,
    HFCheckpointer,
    Loggers,
)
from finetune_api.config.optimizer import AdamW, DecoupledAdamW, DecoupledLionW, Optimizer, ParamGroup
from finetune_api.config.scheduler import (
    ConstantWithWarmup,
    CosineWithWarmup,
    InvSqrtWithWarmup,
    LinearDecayWithWarmup,
    Scheduler,
)
from finetune_api.config.training import TrainingConfig

__all__ = [
    "AdamW",
    "Algorithms",
    "Callbacks",
    "ConstantWithWarmup",
    "CosineWithWarmup",
    "DecoupledAdamW",
    "DecoupledLionW",
    "EarlyStopper",
    "FSDPConfig",
    "FinetuningDataset",
    "GradientClipping",
    "HFCausalLM",
    "HFCheckpointer",
    "InvSqrtWithWarmup",
    "LinearDecayWithWarmup",
    "LoadedConfig",
    "Loader",
    "Loggers",
    "MPTCausalLM",
    "Optimizer",
    "ParamGroup",
    "Scheduler",
    "Tokenizer",
    "TrainingConfig",
    "check_schedule",
    "check_world",
    "lint",
    "load_training_config",
    "parse_training_config",
]
