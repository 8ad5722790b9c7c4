"""From the command to the first optimizer step, and to the saved model: `finetune run` and Hugging Face's Trainer.

Both start from nothing, as processes of their own, with the same GPT-2 and the same rows, once with empty caches
(cold) and once more (warm), one after the other. A run is one step long; then both write a checkpoint to resume
from, and the model. Printed are wall-clock seconds of each part and of the whole, the CPU-seconds of the whole, and
the ratios of the same run.

    python benchmarks/startup.py                            GPT-2 124M
    python benchmarks/startup.py --layers 2 --width 128     a quick look
    python benchmarks/startup.py --rounds 3                 medians of three rounds

It needs torch, transformers and accelerate; no network.
"""

import sys

# As a plain script it would find benchmarks/operator.py in the place of the standard library's `operator`.
sys.path[0] = sys.path[0].removesuffix("/benchmarks")

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import shutil  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import yaml  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]

from benchmarks.gpt2 import make_gpt2  # noqa: E402
from benchmarks.task import training_config  # noqa: E402

EXAMPLE = ROOT / "examples" / "arc-easy"
PARTS = ("import", "prepare", "load", "first_step")
Seconds = dict[str, float]


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.peer is not None:
        peer(options.model, options.data, options.peer)
        return
    model = make_gpt2(
        options.work / f"gpt2-{options.layers}x{options.width}", layers=options.layers, width=options.width
    )
    rounds: dict[str, list[Seconds]] = {}
    for _ in range(options.rounds):
        shutil.rmtree(options.work / "startup", ignore_errors=True)
        for state in ("cold", "warm"):
            rounds.setdefault(f"ours, {state}", []).append(ours(model, options.data, options.work / "startup"))
            rounds.setdefault(f"hugging face, {state}", []).append(
                hugging_face(model, options.data, options.work / "startup")
            )
    print(table({name: _medians(found) for name, found in rounds.items()}))


def ours(model: Path, data: Path, work: Path) -> Seconds:
    """Run `finetune run` for one step and return the seconds of each part."""
    work.mkdir(parents=True, exist_ok=True)
    config = training_config(model, data) | {"max_duration": "1ba"}
    file = work / "run.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copy(EXAMPLE / "preprocessing.py", work)
    output = work / "output"
    shutil.rmtree(output, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "finetune"), "run", str(file), "--output", str(output)]
    seconds = _timed(command, work, until=output / "metrics.jsonl")
    timings = json.loads((output / "run.json").read_text(encoding="utf-8"))["timings"]
    return {part: float(timings.get(part, 0.0)) for part in PARTS} | seconds


def hugging_face(model: Path, data: Path, work: Path) -> Seconds:
    """Run the peer for one step and return the seconds of each part."""
    result = work / "peer.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--peer", str(result), "--model", str(model), "--data", str(data)]
    seconds = _timed(command, work, until=result)
    return {**json.loads(result.read_text(encoding="utf-8")), **seconds}


def peer(model_path: Path, data: Path, result: Path) -> None:
    """Do what a user of the Trainer would write, and write down when each part was done."""
    began = time.perf_counter()
    seconds: Seconds = {}

    def lap(part: str) -> None:
        seconds[part] = time.perf_counter() - began - sum(seconds.values())

    import torch
    from benchmarks.candidates import collate
    from benchmarks.task import Row
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

    sys.path.insert(0, str(EXAMPLE))
    from preprocessing import multiple_choice  # found there

    lap("import")
    tokenizer = AutoTokenizer.from_pretrained(model_path)

    def tokenize(record: dict[str, Any]) -> dict[str, list[int]]:
        row = multiple_choice(record)
        prompt = tokenizer(row["prompt"]).input_ids
        response = [*tokenizer(row["response"]).input_ids, tokenizer.eos_token_id]
        return {"input_ids": prompt + response, "labels": [-100] * len(prompt) + response}

    records = load_dataset("json", data_dir=str(data), split="train")
    rows = records.map(tokenize, remove_columns=records.column_names)
    lap("prepare")
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
    lap("load")

    class Finish(TrainerCallback):  # type: ignore[misc]  # transformers carries no types
        def on_step_end(self, *_: Any, **__: Any) -> None:
            lap("first_step")
            result.write_text(json.dumps(seconds), encoding="utf-8")

    settings = TrainingArguments(
        output_dir=str(result.parent / "peer"),
        per_device_train_batch_size=8,
        max_steps=1,
        use_cpu=True,
        remove_unused_columns=False,
        save_steps=1,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )

    def collator(chosen: list[dict[str, list[int]]]) -> dict[str, Any]:
        return collate([Row.of(row["input_ids"], row["labels"]) for row in chosen])

    trainer = Trainer(model=model, args=settings, train_dataset=rows, data_collator=collator, callbacks=[Finish()])
    trainer.train()
    trainer.save_model(str(result.parent / "peer" / "model"))
    tokenizer.save_pretrained(result.parent / "peer" / "model")


def table(figures: dict[str, Seconds]) -> str:
    """Return the result for people."""
    columns = (*PARTS, "to_first_step", "whole", "cpu")
    lines = [f"{'seconds':22}" + "".join(f"{column.replace('_', ' '):>15}" for column in columns)]
    lines += [
        f"{name:22}" + "".join(f"{of.get(column, 0.0):15.2f}" for column in columns) for name, of in figures.items()
    ]
    for state in ("cold", "warm"):
        own, other = figures[f"ours, {state}"], figures[f"hugging face, {state}"]
        first, whole, cpu = (own[column] / other[column] for column in ("to_first_step", "whole", "cpu"))
        lines.append(
            f"{state}: ours takes {first:.2f} of the time to the first step, {whole:.2f} of the whole time "
            f"and {cpu:.2f} of the CPU"
        )
    lines.append("The parts leave out what comes before Python's first line of a trainer, and the saving.")
    return "\n".join(lines)


def _timed(command: list[str], work: Path, *, until: Path) -> Seconds:
    """Run a command; return the wall seconds until a file has content, and the CPU-seconds of the whole."""
    own = {"FINETUNE_CACHE": work / "cache", "HF_HOME": work / "hf", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **{name: str(value) for name, value in own.items()}}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with (work / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        reached = 0.0
        while process.poll() is None:
            if not reached and until.exists() and until.stat().st_size:
                reached = time.perf_counter() - began
            time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(work / 'log').read_text(encoding='utf-8')}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"to_first_step": reached, "cpu": cpu, "whole": time.perf_counter() - began}


def _medians(rounds: list[Seconds]) -> Seconds:
    return {part: statistics.median(one[part] for one in rounds) for part in rounds[0]}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rounds", type=int, default=1, help="cold and warm starts of each (default: 1)")
    add("--layers", type=int, default=12, help="blocks of the GPT-2 (default: 12)")
    add("--width", type=int, default=768, help="its hidden size, a multiple of 64 (default: 768)")
    add("--data", type=Path, default=EXAMPLE, help="folder with the train.jsonl (default: the example's)")
    add("--work", type=Path, default=ROOT / "out" / "benchmarks", help="where the model is kept between runs")
    add("--peer", type=Path, help=argparse.SUPPRESS)
    add("--model", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
