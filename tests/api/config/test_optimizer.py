import pytest

from finetune_api.config import AdamW, DecoupledLionW, parse_training_config
from finetune_api.errors import ConfigInvalid
from support.training_files import minimal_config


def test_each_optimizer_has_its_own_defaults() -> None:
    lion = parse_training_config(minimal_config(), ["optimizer={name: decoupled_lionw}"]).config.optimizer
    assert isinstance(lion, DecoupledLionW)
    assert (lion.lr, lion.betas, lion.weight_decay) == (1e-4, (0.9, 0.99), 0.0)
    adamw = parse_training_config(minimal_config(), ["optimizer={name: adamw}"]).config.optimizer
    assert isinstance(adamw, AdamW)
    assert (adamw.betas, adamw.weight_decay) == ((0.9, 0.999), 1e-2)


def test_patterns_may_be_one_or_many() -> None:
    config = parse_training_config(minimal_config(), ["optimizer.disable_grad=wte"]).config
    assert config.optimizer.disable_grad == ["wte"]
    assert parse_training_config(config.resolved()).config == config


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("lr=0", "optimizer.lr: must be greater than 0"),
        ("betas=[0.9]", "optimizer.betas"),
        ("betas=[0.9, 1]", r"optimizer.betas\[1\]: must be less than 1"),
        ("betas=0.9", "optimizer.betas: expected a list"),
        ("disable_grad=['(']", "is not a regular expression"),
        ("param_groups=[{lr: 1}]", r"optimizer.param_groups\[0\].param_str_match: required key is missing"),
        ("name=sgd", "expected one of decoupled_adamw, adamw, decoupled_lionw"),
    ],
)
def test_a_wrong_value_names_its_key(override: str, sentence: str) -> None:
    with pytest.raises(ConfigInvalid, match=sentence):
        parse_training_config(minimal_config(), [f"optimizer.{override}"])
