"""CPU-seconds per optimizer step: this trainer, Hugging Face's Trainer, and rows padded to max_seq_len.

All three get the same rows in the same order, the same model, precision, learning rates and threads. Each runs
in a process of its own; they take turns, one step each, so that whatever else the machine does hits all of them
alike. Printed are medians over the turns, and ratios of medians of the same run.

    python benchmarks/trainer.py                            GPT-2 124M, fp32, batches of 8, max_seq_len 512
    python benchmarks/trainer.py --layers 2 --width 128     a quick look, seconds instead of minutes
    python benchmarks/trainer.py --without padded           only the peer that trims too
    python benchmarks/trainer.py --data DIR                 another folder with a train.jsonl

It needs torch, transformers and accelerate; 16 GB of memory for the 124M model; no network.
"""

import sys

# As a plain script it would find benchmarks/operator.py in the place of the standard library's `operator`.
sys.path[0] = sys.path[0].removesuffix("/benchmarks")

import argparse  # noqa: E402
import json  # noqa: E402
import multiprocessing  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from multiprocessing.connection import Connection  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]

from benchmarks.candidates import CANDIDATES, Step, play  # noqa: E402
from benchmarks.gpt2 import make_gpt2  # noqa: E402
from benchmarks.task import Task, training_config  # noqa: E402

from finetune_trainer.launcher.arguments import CPU_SETTINGS  # noqa: E402

EXAMPLE = ROOT / "examples" / "arc-easy"
MOST_RELATIVE_DIFFERENCE = 1e-4
"""How far the losses of two candidates may lie apart in fp32: rounding, grown over a few steps."""


class Player:
    """A candidate in its own process."""

    def __init__(self, name: str, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=play, args=(name, task, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Player":
        self._receive()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join(timeout=30)
        self._process.kill()

    def step(self) -> Step:
        """Let it take one step, alone."""
        self._connection.send("step")
        step = self._receive()
        assert isinstance(step, Step)
        return step

    def _receive(self) -> object:
        connection: Connection[Any, Any] = self._connection
        try:
            return connection.recv()
        except EOFError:
            raise SystemExit(f"{self.name}: the candidate ended early; its error is above") from None


def main() -> None:
    """Compare and print."""
    options = _options()
    os.environ.update(CPU_SETTINGS)  # what our launcher gives its ranks, for the peers too
    task = _task(options)
    names = [name for name in CANDIDATES if name not in options.without]
    turns = take_turns(names, task, warmup=options.warmup)
    print(json.dumps(_figures(turns), indent=1) if options.json else table(turns, task))
    if options.precision == "fp32" and _spread(turns) > MOST_RELATIVE_DIFFERENCE:
        raise SystemExit("the losses differ: the candidates did not do the same work")


def take_turns(names: Sequence[str], task: Task, *, warmup: int) -> dict[str, list[Step]]:
    """Return the measured steps of each candidate; the first `warmup` turns are taken but not counted."""
    with ExitStack() as stack:
        players = [stack.enter_context(Player(name, task)) for name in names]  # one after the other, to load
        turns: dict[str, list[Step]] = {name: [] for name in names}
        for number in range(task.steps):
            # The order changes from turn to turn, so that nobody always comes after the same one.
            for player in players[number % len(players) :] + players[: number % len(players)]:
                turns[player.name].append(player.step())
            print(f"turn {number + 1} of {task.steps}", file=sys.stderr)
    return {name: steps[warmup:] for name, steps in turns.items()}


def table(turns: dict[str, list[Step]], task: Task) -> str:
    """Return the result for people."""
    figures = _figures(turns)
    lines = [
        f"{task.config['precision']}, {task.batch_size} rows a step, max_seq_len {task.max_seq_len}, "
        f"{task.threads} threads, {len(next(iter(turns.values())))} turns",
        "",
        f"{'':14}{'CPU-s/step':>12}{'wall s/step':>13}{'positions/token':>17}{'CPU over ours':>15}",
    ]
    for name, of in figures.items():
        numbers = f"{of['cpu_seconds']:12.3f}{of['wall_seconds']:13.3f}{of['positions_per_token']:17.3f}"
        lines.append(f"{name:14}{numbers}{of['cpu_over_ours']:15.2f}")
    if "hugging face" in figures:
        share = 1 / figures["hugging face"]["cpu_over_ours"]
        lines += ["", f"ours takes {share:.2f} of the CPU-seconds of Hugging Face's Trainer"]
    lines += ["", "loss of each measured step:"]
    lines += [f"{name:14}" + " ".join(f"{step.loss:.6f}" for step in steps) for name, steps in turns.items()]
    return "\n".join([*lines, f"largest relative difference: {_spread(turns):.1e}"])


def _figures(turns: dict[str, list[Step]]) -> dict[str, dict[str, float]]:
    cpu = {name: statistics.median(step.cpu_seconds for step in steps) for name, steps in turns.items()}
    return {
        name: {
            "cpu_seconds": cpu[name],
            "wall_seconds": statistics.median(step.wall_seconds for step in steps),
            "positions_per_token": sum(step.positions for step in steps) / sum(step.tokens for step in steps),
            "cpu_over_ours": cpu[name] / cpu["ours"],
        }
        for name, steps in turns.items()
    }


def _spread(turns: dict[str, list[Step]]) -> float:
    """Return the largest relative difference between the candidates' losses of one turn."""
    together = zip(*turns.values(), strict=True)
    losses = [[step.loss for step in steps] for steps in together]
    return max(((max(same) - min(same)) / max(same) for same in losses), default=0.0)


def _task(options: argparse.Namespace) -> Task:
    model = make_gpt2(
        options.work / f"gpt2-{options.layers}x{options.width}", layers=options.layers, width=options.width
    )
    config = training_config(
        model,
        options.data,
        batch_size=options.batch_size,
        max_seq_len=options.max_seq_len,
        precision=options.precision,
    )
    prepared = prepare_rows(config, options.work / "prepared")
    return Task(
        model=model,
        prepared=prepared,
        config=config,
        batch_size=options.batch_size,
        max_seq_len=options.max_seq_len,
        precision=options.precision,
        threads=options.threads,
        steps=options.warmup + options.steps,
    )


def prepare_rows(config: dict[str, Any], cache: Path) -> Path:
    """Tokenize the rows with the project's own preparation; return the directory it wrote."""
    from finetune_api.config import parse_training_config
    from finetune_trainer.data import prepare

    return prepare(parse_training_config(config).config, cache, code_dir=EXAMPLE).directory


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--steps", type=int, default=5, help="turns that are measured (default: 5)")
    add("--warmup", type=int, default=1, help="turns before these (default: 1)")
    add("--batch-size", type=int, default=8, help="rows of a step, in one microbatch (default: 8)")
    add("--max-seq-len", type=int, default=512, help="what the padded candidate pads to (default: 512)")
    add("--precision", choices=("fp32", "amp_bf16"), default="fp32", help="of all candidates (default: fp32)")
    add("--layers", type=int, default=12, help="blocks of the GPT-2 (default: 12)")
    add("--width", type=int, default=768, help="its hidden size, a multiple of 64 (default: 768)")
    add(
        "--threads",
        type=int,
        default=os.cpu_count() or 1,
        help="of torch, for each candidate (default: all CPUs)",
    )
    add(
        "--without",
        action="append",
        default=[],
        choices=("hugging face", "padded"),
        help="leave a candidate out",
    )
    add("--data", type=Path, default=EXAMPLE, help="folder with the train.jsonl (default: the example's)")
    add("--work", type=Path, default=ROOT / "out" / "benchmarks", help="where the model is kept between runs")
    add("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
