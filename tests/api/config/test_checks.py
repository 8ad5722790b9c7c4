from typing import Any

import pytest

from finetune_api.config import check_world, parse_training_config
from finetune_api.errors import ConfigInvalid
from support.training_files import full_config, minimal_config


def loader(**keys: Any) -> dict[str, Any]:
    return {"name": "finetuning", "dataset": {"hf_name": "json", "split": "test"}, **keys}


def problems(*overrides: str, **keys: Any) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        parse_training_config({**minimal_config(), **keys}, overrides)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_ranks_that_divide_the_batch_share_it(ranks: int) -> None:
    check_world(parse_training_config(minimal_config()).config, ranks)


@pytest.mark.parametrize(("ranks", "advice"), [(3, "a multiple of 3, or 2 ranks"), (16, "a multiple of 16, or 8")])
def test_ranks_that_do_not_are_told_both_ways_out(ranks: int, advice: str) -> None:
    with pytest.raises(ConfigInvalid, match=f"global_train_batch_size: 8 rows .* by {ranks} ranks; use {advice}"):
        check_world(parse_training_config(minimal_config()).config, ranks)


def test_loaders_in_a_list_need_labels_of_their_own() -> None:
    assert problems(eval_loader=[loader()])[0].startswith("eval_loader[0].label: required key is missing")
    twice = problems(eval_loader=[loader(label="a"), loader(label="a")])
    assert twice == ["eval_loader[1].label: a is taken; give each evaluation a label of its own"]
    assert problems(eval_loader=loader(label="train"))[0].startswith("eval_loader.label: train is taken")


def test_evaluations_are_given_once() -> None:
    found = problems(eval_loader=loader(), eval_loaders=[loader(label="b")])
    assert found == ["eval_loaders: given beside eval_loader; keep one of them"]


def test_an_evaluation_says_which_split_it_reads() -> None:
    document = {"name": "finetuning", "dataset": {"hf_name": "json"}}
    assert problems(eval_loader=document) == ["eval_loader.dataset.split: required key is missing"]


def test_an_early_stopper_watches_an_evaluation_that_exists() -> None:
    stopper = "callbacks.early_stopper={monitor: loss, dataloader_label: validatoin}"
    with pytest.raises(ConfigInvalid, match="no evaluation is called validatoin; there is validation"):
        parse_training_config(full_config(), [stopper])


@pytest.mark.parametrize("folder", ["s3://bucket/x", "dbfs:/x"])
def test_remote_folders_are_refused(folder: str) -> None:
    (problem,) = problems(save_folder=folder)
    assert problem.startswith("save_folder: ")
    assert "mount the storage" in problem


def test_rules_between_keys_are_checked_beside_other_mistakes() -> None:
    found = problems("scheduler.t_max=0.5dur", "optimizer.lr=fast", eval_loader=[loader()])
    assert [problem.partition(":")[0] for problem in found] == [
        "optimizer.lr",
        "scheduler.t_max",
        "eval_loader[0].label",
    ]
