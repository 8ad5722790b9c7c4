"""Keys of `model` that are ignored or refused: what transformers cannot do, or this trainer does not."""

from typing import Final

from finetune_api.config.refusal import KeyTable, later, no

HF_MODEL: Final = KeyTable(
    ignored=frozenset({"tokenizer", "use_flash_attention_2", "use_train_metrics", "should_save_peft_only"}),
    refused={
        "additional_eval_metrics": no("evaluation reports loss and perplexity", []),
        "additional_train_metrics": no("metrics.jsonl holds what training reports", []),
        "load_in_8bit": no("weights are trained in full precision", False),
        "peft_config": later("LoRA"),
        "pretrained_lora_id_or_path": later("LoRA"),
    },
    refused_values={
        "name": {
            "hf_prefix_lm": no("only causal language models are trained"),
            "hf_t5": no("encoder-decoder models are not trained here"),
            "hf_causal_lm_dpo": no("DPO is not part of this trainer"),
            "mpt_causal_lm_dpo": no("DPO is not part of this trainer"),
        }
    },
)

_LEARNED_POSITIONS: Final = "transformers' MPT has ALiBi instead of learned positions"

MPT_MODEL: Final = KeyTable(
    ignored=frozenset({"fc_type", "loss_fn", "tokenizer_name", "use_cache", "use_train_metrics", "verbose"}),
    refused={
        "expansion_ratio": no("transformers' MPT has 4", 4),
        "block_overrides": no("every block of transformers' MPT is alike"),
        "emb_pdrop": no("transformers' MPT has no embedding dropout", 0),
        "embedding_fraction": no("transformers' MPT does not scale embedding gradients", 1),
        "ffn_config": no("transformers' MPT has the plain MLP only", {"ffn_type": "mptmlp"}, {}),
        "final_logit_softcapping": no("transformers' MPT does not cap logits"),
        "init_config": no("transformers' MPT initialises weights its own way", {}),
        "learned_pos_emb": no(_LEARNED_POSITIONS, False),
        "logit_scale": no("transformers' MPT does not scale logits"),
        "no_bias": no("transformers' MPT has no biases", True),
        "resid_pdrop": no("transformers' MPT has no dropout of its own for residuals", 0),
        "tie_word_embeddings": no("transformers' MPT shares input and output embeddings", True),
        "use_pad_tok_in_ffn": no("padding is never computed where it can be left out", True),
    },
    refused_values={
        "norm_type": {
            "rmsnorm": no("transformers' MPT has LayerNorm only"),
            "low_precision_rmsnorm": no("transformers' MPT has LayerNorm only"),
        }
    },
)

MPT_ATTENTION: Final = KeyTable(
    ignored=frozenset({"attn_uses_sequence_id", "fused_qkv", "rope_dail_config", "rope_hf_config", "rope_theta"}),
    refused={
        "alibi": no("transformers' MPT always has ALiBi; write alibi: true", True),
        "alibi_bias_max": no("transformers' MPT uses 8", 8),
        "attn_logit_softcapping": no("transformers' MPT does not cap attention logits"),
        "attn_pdrop": no("transformers' MPT has no attention dropout between 0 and 1", 0),
        "attn_type": no("transformers' MPT has no grouped queries", "multihead_attention"),
        "kv_dim": no("transformers' MPT has one width"),
        "kv_n_heads": no("transformers' MPT has no grouped queries"),
        "prefix_lm": no("only causal language models are trained", False),
        "qk_gn": no("transformers' MPT does not normalise queries and keys", False),
        "qk_ln": no("transformers' MPT does not normalise queries and keys", False),
        "rope": no("transformers' MPT has ALiBi instead of rotary positions", False),
        "sliding_window_size": no("transformers' MPT attends to the whole prefix", -1),
    },
)
