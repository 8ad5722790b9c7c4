import pytest

from finetune_api.config import parse_training_config
from finetune_api.errors import ConfigInvalid
from support.training_files import minimal_config

NAME = "callbacks.hf_checkpointer.huggingface_folder_name"


def test_an_export_may_be_named_by_batch_and_epoch() -> None:
    config = parse_training_config(minimal_config(), [f"{NAME}='e{{epoch}}-b{{batch}}'"]).config
    assert config.callbacks.hf_checkpointer is not None
    assert config.callbacks.hf_checkpointer.huggingface_folder_name == "e{epoch}-b{batch}"


@pytest.mark.parametrize("name", ["{step}", "{}", "{batch"])
def test_other_braces_in_the_name_of_an_export_are_found_before_the_run(name: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"may hold \{batch\} and \{epoch\}"):
        parse_training_config(minimal_config() | {"callbacks": {"hf_checkpointer": {"huggingface_folder_name": name}}})
