"""Random numbers as a function of seed, step and rank."""

import torch

from finetune_trainer.train.seeding import seed_step


def drawn(seed: int, step: int, rank: int) -> float:
    seed_step(seed, step, rank)
    return float(torch.rand(()))


def test_the_same_step_draws_the_same_numbers_whatever_came_before() -> None:
    first = drawn(17, 5, 0)
    torch.rand(100)
    assert drawn(17, 5, 0) == first


def test_every_seed_step_and_rank_draws_numbers_of_its_own() -> None:
    places = [(seed, step, rank) for seed in (1, 11, 17) for step in (1, 2, 11) for rank in (0, 1)]
    assert len({drawn(*place) for place in places}) == len(places)
