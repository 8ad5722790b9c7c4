"""Rank 0's journal: metrics, progress, console, TensorBoard, run.json and the report."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from finetune_api.config import TrainingConfig
from finetune_api.config.lints import lint
from finetune_api.errors import RunError
from finetune_api.outcomes import Outcome, exit_code
from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.data.prepared import PreparedData
from finetune_trainer.dataset_facts import dataset_facts
from finetune_trainer.fence import Fence
from finetune_trainer.journal import Journal
from finetune_trainer.metrics import MetricsFile
from finetune_trainer.observe import ProgressFields, RunState, Server, serve
from finetune_trainer.report import write_report
from finetune_trainer.run_dir import Phase, RunDir
from finetune_trainer.run_json import FILE, Stopwatch, describe_data, environment, write_run_json
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.scalars import Scalars
from finetune_trainer.train.evaluate import EvalResult
from finetune_trainer.train.intervals import is_due
from finetune_trainer.train.step import StepResult
from finetune_trainer.train.timeline import Timeline
from finetune_trainer.train.world import World

SPEED_WINDOW = 10
"""Steps over which the speed shown to people is averaged."""


class RunJournal(Journal):
    """The journal of one attempt; it writes to the output only while the attempt owns it."""

    def __init__(self, spec: RunSpec, config: TrainingConfig, run_dir: RunDir, started: float) -> None:
        self._spec = spec
        self._config = config
        self._run_dir = run_dir
        self._watch = Stopwatch(started, "import")
        self._state = RunState()
        self._server: Server | None = None
        self._fence: Fence | None = None
        self._metrics: MetricsFile | None = None
        self._timeline: Timeline | None = None
        self._scalars = Scalars(config, spec.output)
        self._recent: deque[tuple[float, int]] = deque(maxlen=SPEED_WINDOW)
        self._facts: dict[str, Any] = {
            "attempt": spec.attempt,
            "job_uid": spec.job_uid,
            "config": config.resolved(),
            "versions": environment(),
        }
        if spec.progress_port is not None:
            self._server = serve(self._state, spec.progress_port)

    def phase(self, phase: Phase) -> None:
        """Say what the run is doing from now on."""
        self._run_dir.phase(phase)
        self._state.update(phase=phase)
        training = "steps" if self._recent else "first_step"
        self._watch.switch(training if phase == "train" else phase)

    def message(self, text: str) -> None:
        """Say something once to whoever watches."""
        print(text, flush=True)
        self._run_dir.message(text)

    def warn(self, text: str) -> None:
        """Say something that somebody should look into."""
        print(f"warning: {text}", flush=True)
        self._run_dir.message(text, "warning")

    def own(self, world: World, fence: Fence) -> None:
        """Begin to write to the output, until a newer attempt owns it."""
        self._fence = fence
        self._facts |= {"world_size": world.size, "device": world.describe_device()}
        if met := self._run_dir.read_preflight():
            self._facts["preflight"] = {name: met.get(name) for name in ("nodes", "warnings")}

    def begin(
        self,
        prepared: PreparedData,
        timeline: Timeline,
        rows: Mapping[str, TokenizedDataset],
        tokenizer: PreTrainedTokenizerBase,
        first: int,
    ) -> None:
        """Begin the metrics after `first` steps that are done already."""
        assert self._fence is not None
        self._timeline = timeline
        self._metrics = MetricsFile(self._spec.output, first_step=first, fence=self._fence)
        self._scalars.open(first, self._fence)
        samples = [_sample(rows["train"], index, tokenizer) for index in range(3)]
        self._facts["dataset"] = {**describe_data(prepared, rows), "samples": samples}
        # An attempt begins at the checkpoint of its first step: the newest, until it saves one of its own.
        self._state.update(
            step=first,
            total_steps=timeline.total_batches,
            dataset=dataset_facts(prepared),
            first_step=first,
            last_checkpoint_step=first or None,
        )
        self._run_dir.progress({"event": "begin", "step": first, "totalSteps": timeline.total_batches})
        if first:
            self.message(f"resuming after step {first} of {timeline.total_batches}")
        longest = int(rows["train"].lengths.max())
        for problem in lint(self._config, longest_row=longest, total_batches=timeline.total_batches):
            self._run_dir.message(str(problem), level="warning")

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the evaluations recorded so far, those of earlier attempts included."""
        return self._metrics.evaluations if self._metrics is not None else []

    def step(self, step: int, rows: np.ndarray, result: StepResult, lr: float, seconds: float) -> None:
        """Tell one optimizer step, counted from 1."""
        assert self._metrics is not None
        assert self._timeline is not None
        line: dict[str, Any] = {
            "attempt": self._spec.attempt,
            "step": step,
            "epoch": self._timeline.clock(step - 1).epoch,
            "loss": result.loss,
            "lr": lr,
            "grad_norm": result.grad_norm,
            "rows": rows.tolist(),
            "tokens": result.tokens,
            "loss_tokens": result.loss_tokens,
            "positions": result.positions,
            "step_seconds": round(seconds, 6),
            "tokens_per_second": round(result.tokens / seconds, 3),
            **({"skipped": True} if result.skipped else {}),
            **self._memory(),
        }
        self._metrics.write(line)
        if self._recent:  # the first step of an attempt allocates, compiles and reads for the first time
            self._state.update(step_seconds=max(seconds, self._state.progress.step_seconds or 0.0))
        self._recent.append((seconds, result.tokens))
        self._watch.switch("steps")
        self._scalars.add(step, {"loss": result.loss, "lr": lr, "grad_norm": result.grad_norm})
        self._show(line, self._timeline)

    def evaluation(self, step: int, label: str, result: EvalResult) -> None:
        """Tell the result of one evaluation set after `step` optimizer steps."""
        assert self._metrics is not None
        found = {"label": label, "step": step, "loss": result.loss, "perplexity": result.perplexity}
        self._metrics.write({"event": "eval", **found, "attempt": self._spec.attempt})
        self._run_dir.progress({"event": "eval", **found})
        self._state.update(eval_loss=result.loss)
        self._scalars.add(step, {f"{label}/loss": result.loss, f"{label}/perplexity": result.perplexity})
        if self._config.log_to_console:
            print(f"step {step}: {label} loss {result.loss:.4f} perplexity {result.perplexity:.2f}", flush=True)

    def sync(self) -> None:
        """Make the metrics so far durable."""
        if self._metrics is not None:
            self._metrics.sync()

    def checkpoint(self, step: int, seconds: float, *, weights_only: bool = False) -> None:
        """Tell that a checkpoint of `step` exists, and how long the longest one of this attempt took.

        One of weights only is none that a run resumes from.
        """
        longest = max(seconds, self._state.progress.save_seconds or 0.0)
        news: ProgressFields = {"save_seconds": longest}
        if not weights_only:
            news |= {"last_checkpoint_step": step, "last_checkpoint_time": time.time()}
        self._state.update(**news)
        about = {"step": step, "saveSeconds": round(longest, 3)} | ({"weightsOnly": True} if weights_only else {})
        self._run_dir.progress({"event": "checkpoint", **about})

    def close(self, outcome: Outcome, message: str, step: int | None) -> None:
        """Tell how the attempt ended: run.json and the report, unless a newer attempt owns the output."""
        self._scalars.close()
        self._close_metrics()
        self._facts["timings"] = self._watch.timings()
        self._facts["outcome"] = {
            "outcome": outcome.value,
            "message": message,
            "step": step,
            "exitCode": exit_code(outcome),
        }
        # An attempt that was refused before it began says so in its outcome, and leaves an earlier summary alone.
        began = self._metrics is not None or not (self._spec.output / FILE).exists()
        if self._fence is not None and began:
            self._write_summary(self._fence)
        self.phase("done")
        if self._server is not None:
            self._server.close()

    def _close_metrics(self) -> None:
        try:
            if self._metrics is not None:
                self._metrics.close()
        except OSError as error:
            # As with the summary, how the attempt ended must still be told.
            print(f"the last metrics may be lost: {error}", flush=True)

    def _write_summary(self, fence: Fence) -> None:
        try:
            write_run_json(self._spec.output, self._facts, fence.write_text)
            write_report(self._spec.output, fence.write_text)
        except (OSError, RunError) as error:
            # The outcome is told by the outcome file; a full disk or a newer owner must not replace it.
            print(f"no summary written: {error}", flush=True)

    def _show(self, line: Mapping[str, Any], timeline: Timeline) -> None:
        step, total = line["step"], timeline.total_batches
        seconds = sum(entry[0] for entry in self._recent)
        speed = sum(entry[1] for entry in self._recent) / seconds
        eta = seconds / len(self._recent) * (total - step)
        shown = {key: line[key] for key in ("step", "epoch", "loss", "lr")}
        self._run_dir.progress(
            {
                "event": "step",
                **shown,
                "totalSteps": total,
                "tokensPerSecond": round(speed, 3),
                "etaSeconds": round(eta, 1),
                "percent": round(100 * step / total, 2),
                **self._longest_step(),
            }
        )
        self._state.update(**shown, tokens_per_second=speed, eta_seconds=eta, last_step_time=time.time())
        wanted = self._config.log_to_console and is_due(self._config.console_log_interval, timeline, step)
        if wanted or step == total:
            print(
                f"step {step}/{total} epoch {line['epoch']} loss {line['loss']:.4f} lr {line['lr']:.3g} "
                f"tokens/s {speed:.0f} eta {eta:.0f}s",
                flush=True,
            )

    def _longest_step(self) -> dict[str, float]:
        longest = self._state.progress.step_seconds
        return {} if longest is None else {"stepSeconds": round(longest, 3)}

    def _memory(self) -> dict[str, int]:
        return peak_memory() if self._config.callbacks.memory_monitor is not None else {}


def peak_memory() -> dict[str, int]:
    """Return the peak memory so far in bytes: of the device where there is one, else of this process."""
    import resource
    import sys

    import torch

    if torch.cuda.is_available():
        return {"peak_memory_bytes": torch.cuda.max_memory_allocated()}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def _sample(rows: TokenizedDataset, index: int, tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    row = rows.row(index % len(rows))
    return {
        "prompt": tokenizer.decode(row.input_ids[row.labels < 0]),
        "response": tokenizer.decode(row.input_ids[row.labels >= 0]),
    }
