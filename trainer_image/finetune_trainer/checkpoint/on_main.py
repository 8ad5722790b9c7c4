"""What rank 0 does for all: its result, or its failure, is that of every rank."""

from collections.abc import Callable
from typing import TypeVar

from finetune_api.errors import RunError
from finetune_trainer.train.world import World

T = TypeVar("T")


def on_main(world: World, action: Callable[[], T]) -> T:
    """Return what `action` returns on rank 0, or raise what it raises there, on every rank."""
    answer: T | Exception | None = None
    if world.is_main:
        try:
            answer = action()
        except (RunError, OSError) as error:
            answer = error
    told = world.broadcast(answer)
    if isinstance(told, Exception):
        raise told
    return told  # type: ignore[return-value]
