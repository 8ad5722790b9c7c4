"""The three trainers that are compared, each in a process of its own, taking a step when it is told to."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.task import PEAK_LR, Row, Task, batches, lr_factor, rows


@dataclass(frozen=True)
class Step:
    """What one step did and cost."""

    loss: float
    tokens: int
    positions: int
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


class Turns:
    """One side of the conversation with the benchmark: wait for a turn, take a step, report it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cpu = self._wall = 0.0

    def ready(self) -> None:
        """Say that everything is loaded."""
        self._connection.send("ready")

    def wait(self) -> None:
        """Wait for a turn and start the clock; end this process when there is none any more."""
        try:
            self._connection.recv()
        except EOFError:
            raise SystemExit(0) from None
        self._cpu, self._wall = cpu_seconds(), time.perf_counter()

    def report(self, step: Step) -> None:
        """Stop the clock and hand the step over."""
        cpu, wall = cpu_seconds() - self._cpu, time.perf_counter() - self._wall
        self._connection.send(Step(step.loss, step.tokens, step.positions, cpu, wall))


def cpu_seconds() -> float:
    """Return the CPU-seconds, user and system, of this process, its threads and its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def play(name: str, task: Task, connection: Connection) -> None:
    """Be the candidate `name` until the other end closes the connection."""
    os.environ["OMP_NUM_THREADS"] = str(task.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(task.threads)
    CANDIDATES[name](task, Turns(connection))


def ours(task: Task, turns: Turns) -> None:
    """This project's trainer."""
    step = our_step(task)
    turns.ready()
    for number, chosen in enumerate(batches(task)):
        turns.wait()
        turns.report(step(chosen, number))


def our_step(task: Task) -> Callable[[list[int], int], Step]:
    """Return a function that takes one of our trainer's steps on the given rows; steps count from 0.

    The one place where the benchmark knows the trainer from inside.
    """
    import numpy as np
    import torch

    from finetune_api.config import parse_training_config
    from finetune_trainer.data import TokenizedDataset, load_prepared
    from finetune_trainer.data.tokenizer import load_tokenizer
    from finetune_trainer.stopping import StopFlag
    from finetune_trainer.train.layout_choice import choose_layout
    from finetune_trainer.train.model import load_model_config
    from finetune_trainer.train.optimizers import build_optimizer
    from finetune_trainer.train.parallel import build_model
    from finetune_trainer.train.precision import LossScale
    from finetune_trainer.train.state import RowPlacement, TrainState
    from finetune_trainer.train.step import train_step
    from finetune_trainer.train.world import World

    config = parse_training_config(task.config).config
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    model = build_model(config, load_model_config(config), world)
    tokenizer = load_tokenizer(config)
    dataset = TokenizedDataset.open(load_prepared(task.prepared).splits["train"])
    layout, _ = choose_layout(config, model, dataset, world)
    place = RowPlacement(layout, tokenizer.pad_token_id, tokenizer.padding_side, config.max_seq_len)
    optimizer, scale = build_optimizer(config, model), LossScale(config.precision)
    state = TrainState(config, world, model, optimizer, scale, StopFlag(), place)

    def step(chosen: list[int], number: int) -> Step:
        done = train_step(state, dataset, np.asarray(chosen), number + 1, lr_factor(number))
        return Step(done.loss, done.tokens, done.positions)

    return step


def padded(task: Task, turns: Turns) -> None:
    """A plain loop that pads every row to `max_seq_len` and computes all logits, as LLM Foundry does."""
    import torch
    from torch.nn.functional import cross_entropy

    model = _model(task)
    optimizer = _adamw(model)
    data = rows(task)
    turns.ready()
    for number, chosen in enumerate(batches(task)):
        turns.wait()
        batch = collate([data[row] for row in chosen], task.max_seq_len)
        with _autocast(task):
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            targets = torch.nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=-100)
            loss = cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LR * lr_factor(number)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        turns.report(Step(loss.item(), int(batch["attention_mask"].sum()), batch["input_ids"].numel()))


def hugging_face(task: Task, turns: Turns) -> None:
    """transformers' own Trainer, its batches padded to their longest row."""
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import Trainer, TrainerCallback, TrainingArguments

    model = _model(task)
    data = rows(task)
    coming = batches(task)
    order = [row for _ in range(task.steps) for row in next(coming)]
    seen: list[Step] = []

    class InOurOrder(Trainer):  # type: ignore[misc]  # transformers carries no types
        def _get_train_sampler(self, *_: Any) -> Any:
            return _Listed(order)

        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            tokens, positions = int(inputs["attention_mask"].sum()), inputs["input_ids"].numel()
            loss = super().training_step(model, inputs, *rest, **named)
            seen.append(Step(loss.item(), tokens, positions))
            return loss

    class TakeTurns(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            turns.ready()
            turns.wait()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            turns.report(seen.pop())
            turns.wait()

    optimizer = _adamw(model)
    settings = TrainingArguments(
        output_dir=str(task.prepared.parent / "hugging-face"),
        per_device_train_batch_size=task.batch_size,
        max_steps=task.steps,
        max_grad_norm=1.0,
        use_cpu=True,
        bf16=task.precision == "amp_bf16",
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    InOurOrder(
        model=model,
        args=settings,
        train_dataset=data,
        data_collator=collate,
        optimizers=(optimizer, LambdaLR(optimizer, lr_factor)),
        callbacks=[TakeTurns()],
    ).train()


class _Listed:
    """A sampler that goes through a list."""

    def __init__(self, order: list[int]) -> None:
        self._order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)


def _model(task: Task) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32).train()


def _adamw(model: Any) -> Any:
    import torch

    return torch.optim.AdamW(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0, fused=True)


def _autocast(task: Task) -> Any:
    import torch

    low = task.precision == "amp_bf16"
    return torch.autocast("cpu", dtype=torch.bfloat16) if low else nullcontext()


def collate(chosen: list[Row], length: int | None = None) -> dict[str, Any]:
    """Pad on the right to `length`, or to the longest of the rows."""
    import torch

    length = length or max(len(row.input_ids) for row in chosen)
    batch = {
        "input_ids": torch.zeros(len(chosen), length, dtype=torch.long),
        "labels": torch.full((len(chosen), length), -100),
        "attention_mask": torch.zeros(len(chosen), length, dtype=torch.long),
    }
    for index, row in enumerate(chosen):
        batch["input_ids"][index, : len(row.input_ids)] = torch.as_tensor(row.input_ids)
        batch["labels"][index, : len(row.labels)] = torch.as_tensor(row.labels)
        batch["attention_mask"][index, : len(row.input_ids)] = 1
    return batch


CANDIDATES: dict[str, Callable[[Task, Turns], None]] = {
    "ours": ours,
    "hugging face": hugging_face,
    "padded": padded,
}
