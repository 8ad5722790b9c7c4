"""Real training runs of a small GPT-2 on the ARC Easy example, and what they left."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.models import tiny_gpt2
from support.shell import BIN, ROOT, quiet_environment

EXAMPLE = ROOT / "examples" / "arc-easy"
_FAULTS = ROOT / "tests" / "faults" / "image"


def arc_config(model: Path, **changes: Any) -> dict[str, Any]:
    """Return the ARC Easy configuration over a local model directory; `changes` replace top-level keys."""
    config: dict[str, Any] = {
        "max_seq_len": 128,
        "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": str(model)},
        "tokenizer": {"name": str(model)},
        "train_loader": {
            "name": "finetuning",
            "dataset": {
                "hf_name": "json",
                "hf_kwargs": {"data_files": str(EXAMPLE / "train.jsonl")},
                "split": "train",
                "preprocessing_fn": "preprocessing:multiple_choice",
                "shuffle": True,
            },
            "drop_last": True,
        },
        "optimizer": {"name": "decoupled_adamw", "lr": 6.0e-4, "betas": [0.9, 0.95], "weight_decay": 0.0},
        "scheduler": {"name": "cosine_with_warmup", "t_warmup": "3ba", "alpha_f": 0.1},
        "algorithms": {"gradient_clipping": {"clipping_type": "norm", "clipping_threshold": 1.0}},
        "max_duration": "1ep",
        "global_train_batch_size": 8,
        "precision": "fp32",
    }
    return {**config, **changes}


def step_lines(output: Path) -> list[dict[str, Any]]:
    """Return one object per optimizer step that the output's metrics hold."""
    try:
        lines = (output / "metrics.jsonl").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line for line in whole if line.get("event") != "eval"]


def weights(output: Path) -> bytes:
    """Return the exported weights, byte for byte."""
    return (output / "model" / "model.safetensors").read_bytes()


@dataclass
class ArcRun:
    """`finetune run` on one configuration file in a folder of its own."""

    root: Path
    file: Path

    @classmethod
    def create(cls, root: Path, *, dropout: float = 0.0, **changes: Any) -> "ArcRun":
        """Write a model and a configuration below `root`."""
        model = tiny_gpt2(root / "tiny", dropout=dropout)
        file = root / "train.yaml"
        file.write_text(json.dumps(arc_config(model, **changes)))
        (root / "preprocessing.py").write_text((EXAMPLE / "preprocessing.py").read_text())
        return cls(root, file)

    @property
    def command(self) -> list[str]:
        """The command without its options."""
        return [str(BIN / "finetune"), "run", str(self.file)]

    def start(self, output: Path, *arguments: str, fault: Mapping[str, object] | None = None) -> subprocess.Popen[str]:
        """Start a run and return its process; its output goes to a file beside the results.

        What a `fault` may say stands in `faults/image/finetune_faults.py`.
        """
        log = output.with_suffix(".log").open("a")
        command = [*self.command, "--output", str(output), *arguments]
        environment = quiet_environment(self.root / "cache")
        if fault is not None:
            paths = filter(None, (str(_FAULTS), os.environ.get("PYTHONPATH")))
            environment |= {"FAULT": json.dumps(fault), "PYTHONPATH": os.pathsep.join(paths)}
        with log:
            return subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
            )

    def finish(self, output: Path, *arguments: str, expect: int = 0) -> None:
        """Run to the end and require an exit code."""
        process = self.start(output, *arguments)
        code = process.wait(timeout=500)
        assert code == expect, output.with_suffix(".log").read_text()[-4000:]


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str], *, seconds: float = 300) -> None:
    """Wait until a condition holds while a process runs; fails when the process ends first."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended before it was struck"
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


def processes_mentioning(text: str) -> list[int]:
    """Return the ids of processes whose command line mentions `text`, zombies and this one left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in command and state != "Z" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def python_with_ranks(ranks: int, port: int) -> list[str]:
    """Return the start of a command that runs a module under torchrun on this machine."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--master-port", str(port)]
    return [*torchrun, "--nproc-per-node", str(ranks), "-m"]
