"""`model` and `tokenizer`: what is trained, and how its text becomes tokens."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from finetune_api.config.section import Section

InitDevice = Literal["meta", "cpu", "mixed"]


class HFCausalLM(Section):
    """A causal language model of the transformers library, by hub name or local directory."""

    part: ClassVar[str] = "hf_model"

    name: Literal["hf_causal_lm"] = Field(description="The kind of model.")
    pretrained_model_name_or_path: str = Field(
        min_length=1, description="A hub name or a local directory holding config, weights and tokenizer."
    )
    pretrained: bool = Field(
        default=True, description="true: start from the weights; false: the architecture with random weights."
    )
    config_overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="Values that replace those of the model's own config, nested; unknown names are errors.",
    )
    init_device: InitDevice = Field(
        default="cpu", description="Where weights are created before sharding; all give the same weights."
    )
    attn_implementation: str | None = Field(
        default=None, description="transformers' attention to use; unset: the best exact one at hand."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of the model on the hub.")
    trust_remote_code: bool = Field(default=False, description="Whether Python code of the model repository may run.")
    use_auth_token: bool = Field(
        default=False, description="Whether the hub is asked with the token of the environment."
    )


class MPTAttention(Section):
    """`model.attn_config` of an MPT model."""

    part: ClassVar[str] = "mpt_attention"

    alibi: Literal[True] = Field(description="Must be true: transformers' MPT always has ALiBi.")
    attn_impl: Literal["torch", "flash", "triton"] = Field(
        default="torch", description="A wish; the best exact attention at hand is used."
    )
    clip_qkv: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Queries, keys and values are clipped to this magnitude; unset: not."
    )
    softmax_scale: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Scale of the attention logits; unset: one over the root of the head size."
    )


class MPTCausalLM(Section):
    """An MPT architecture with random weights, built by the transformers library."""

    part: ClassVar[str] = "mpt_model"

    name: Literal["mpt_causal_lm"] = Field(description="The kind of model.")
    d_model: int = Field(gt=0, description="Width of the model.")
    n_heads: int = Field(gt=0, description="Attention heads; must divide d_model.")
    n_layers: int = Field(gt=0, description="Number of blocks.")
    expansion_ratio: Literal[4] = Field(
        default=4, description="Width of the MLP over d_model; transformers' MPT has 4."
    )
    max_seq_len: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="Longest sequence of the model; unset: the top-level max_seq_len."
    )
    vocab_size: int = Field(default=50368, gt=0, description="Rows of the embedding.")
    attn_config: MPTAttention = Field(description="Attention; alibi: true must be written.")
    norm_type: Literal["low_precision_layernorm", "layernorm"] = Field(
        default="low_precision_layernorm", description="Both are transformers' LayerNorm without bias."
    )
    norm_eps: float = Field(default=1e-5, gt=0, description="Epsilon of LayerNorm.")
    init_device: InitDevice = Field(default="cpu", description="Where weights are created before sharding.")


Model = Annotated[HFCausalLM | MPTCausalLM, Field(discriminator="name")]


class Tokenizer(Section):
    """The tokenizer; it needs an EOS token, and a missing pad token becomes the EOS token."""

    part: ClassVar[str] = "tokenizer"

    name: str = Field(min_length=1, description="A hub name or a local directory.")
    kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Passed on to AutoTokenizer.from_pretrained: model_max_length, padding_side, …",
    )
