import pytest

from finetune_api.config import DecoupledAdamW, FinetuningDataset, GradientClipping, TrainingConfig
from finetune_api.config.describe import default_words, value_words, written
from finetune_api.config.section import Section, fields_by_key


@pytest.mark.parametrize(
    ("section", "key", "value", "default"),
    [
        (TrainingConfig, "seed", "integer ≥ 0", "`17`"),
        (TrainingConfig, "max_seq_len", "integer > 0", "required"),
        (TrainingConfig, "device_eval_batch_size", "integer > 0", "none"),
        (TrainingConfig, "max_duration", "duration", "required"),
        (TrainingConfig, "precision", "`amp_bf16` or `fp32` or `amp_fp16`", "`amp_bf16`"),
        (TrainingConfig, "algorithms", "mapping", "none"),
        (TrainingConfig, "eval_first", "true or false", "`false`"),
        (FinetuningDataset, "max_seq_len", "integer > 0", "as described"),
        (FinetuningDataset, "preprocessing_fn", "text or mapping", "none"),
        (GradientClipping, "clipping_threshold", "number > 0", "required"),
        (DecoupledAdamW, "betas", "list of 2 numbers ≥ 0, < 1", "`[0.9, 0.95]`"),
        (DecoupledAdamW, "param_groups", "list of mappings", "none"),
    ],
)
def test_a_key_is_told_by_its_values_and_its_default(
    section: type[Section], key: str, value: str, default: str
) -> None:
    field = fields_by_key(section)[key]
    assert (value_words(field), default_words(field)) == (value, default)


def test_values_are_written_as_in_yaml() -> None:
    assert [written(value) for value in (True, (1, 2), {"a": {"b": False}}, "x")] == [
        "true",
        "[1, 2]",
        "{a: {b: false}}",
        "x",
    ]
