"""A rank without torch: does what `FAKE_RANKS` says for its rank, and speaks the launcher's protocol.

`FAKE_RANKS` is JSON: rank -> {"do": …, "after": seconds}. What it can do: `succeed`, `exit:N` and `signal:N`
without a word, `outcome:NAME` with an outcome file, `raise`, and `run` (the default): until a signal comes,
then save for `drain` seconds.
"""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from finetune_api.outcomes import Outcome
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec


def main() -> int:
    die_with_parent()
    rank = int(os.environ["RANK"])
    script: dict[str, Any] = json.loads(os.environ.get("FAKE_RANKS", "{}")).get(str(rank), {})
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", type=Path, required=True)
    run_dir = RunDir(RunSpec.load(parser.parse_args().spec).run_dir)
    received: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number))

    if not script.get("deaf_at_start"):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, note)
    if script.get("register", True):
        run_dir.register_rank(rank)
    print(f"hello from rank {rank} of {os.environ['WORLD_SIZE']}", flush=True)
    if script.get("wait_prepared"):
        run_dir.wait_prepared(30, stopped=lambda: bool(received))
    run_dir.progress({"event": "step", "step": 5, "totalSteps": 12})
    return _act(run_dir, rank, script, received)


def _act(run_dir: RunDir, rank: int, script: dict[str, Any], received: list[signal.Signals]) -> int:
    action, _, argument = script.get("do", "run").partition(":")
    while "after_rank" in script and run_dir.read_outcome(str(script["after_rank"])) is None:
        time.sleep(0.01)
    deadline = time.monotonic() + script.get("after", 60.0 if action == "run" else 0.0)
    while time.monotonic() < deadline and not (received and not script.get("stubborn")):
        time.sleep(0.01)
    if received and not script.get("stubborn"):
        time.sleep(script.get("drain", 0.1))
        outcome = Outcome.INTERRUPTED if received[0] == signal.SIGINT else Outcome.PREEMPTED
        return run_dir.write_outcome(outcome, "saved and left", rank=rank, step=6)
    if action == "exit":
        return int(argument)
    if action == "signal":
        os.kill(os.getpid(), int(argument))
        time.sleep(10)
    if action == "outcome":
        return run_dir.write_outcome(Outcome(argument), f"fake {argument}", rank=rank, step=3)
    if action == "raise":
        return _crash(run_dir, rank)
    return run_dir.write_outcome(Outcome.SUCCEEDED, "done", rank=rank, step=12)


def _crash(run_dir: RunDir, rank: int) -> int:
    try:
        raise RuntimeError("the fake worker's own mistake")
    except RuntimeError as error:
        trace = traceback.format_exc()
        return run_dir.write_outcome(Outcome.CRASHED, str(error), rank=rank, step=4, traceback=trace)


if __name__ == "__main__":
    sys.exit(main())
