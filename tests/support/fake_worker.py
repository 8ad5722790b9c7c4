"""A rank without torch: does what `FAKE_RANKS` says for its rank, and speaks the launcher's protocol.

`FAKE_RANKS` is JSON: rank -> {"do": …, "after": seconds}. What it can do: `succeed`, `exit:N` and `signal:N`
without a word, `outcome:NAME` with an outcome file, `raise`, and `run` (the default): until a signal comes, longer than
any test waits, then save for `drain` seconds. `step` and `hang:HOW` take steps in step with the other ranks of their
machine, beating as a real rank does, until a signal comes; `hang` goes silent in step 3: in its `data`, in a `save`, or
with SIGSTOP (`stopped`).
"""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from finetune_api.outcomes import Outcome
from finetune_trainer.heartbeat import HeartbeatFile
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.run_dir import RunDir, write_atomically
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.stack_dump import offer_stack


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
    offer_stack(run_dir.stack_file(rank))
    heart = HeartbeatFile(run_dir.heartbeat_file(rank))
    if script.get("register", True):
        run_dir.register_rank(rank)
    print(f"hello from rank {rank} of {os.environ['WORLD_SIZE']}", flush=True)
    has_data = True
    if script.get("wait_prepared"):
        has_data = run_dir.wait_prepared(600, stopped=lambda: bool(received)) is not None
    run_dir.progress({"event": "step", "step": 5, "totalSteps": 12})
    if "phase" in script:
        heart.enter(script["phase"])
    action, _, argument = script.get("do", "run").partition(":")
    if action in ("step", "hang"):
        _take_steps(Together(run_dir, rank, received), heart, argument, script.get("steps", 10**6))
    code = _act(run_dir, rank, script, received, saved_step=6 if has_data else None)
    if code in (130, 143) and script.get("leave") != "alone":
        run_dir.await_peers()
    return code


class Together:
    """A collective of the ranks in `FAKE_RANKS`, made of files in a folder that their launchers share."""

    def __init__(self, run_dir: RunDir, rank: int, received: list[signal.Signals]) -> None:
        self._folder = run_dir.path.parent / "together"
        self._folder.mkdir(exist_ok=True)
        self._names = [f"{rank}" for rank in json.loads(os.environ["FAKE_RANKS"])]
        self._own = self._folder / str(rank)
        self._came = 0
        self.received = received

    def meet(self) -> bool:
        """Wait for the other ranks to come as far; True when this one was asked to leave."""
        self._came += 1
        write_atomically(self._own, str(self._came))
        while not self.received and any(self._of(name) < self._came for name in self._names):
            time.sleep(0.001)
        return bool(self.received)

    def _of(self, name: str) -> int:
        try:
            return int((self._folder / name).read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0


def _take_steps(ranks: Together, heart: HeartbeatFile, hang: str, steps: int) -> None:
    for step in range(steps):
        heart.enter("step" if step else "first_step")
        _hang_where(hang == "data" and step == 2, wait_for_a_row)
        _hang_where(hang == "stopped" and step == 2, stop)
        heart.beat()
        if ranks.meet():
            return
        heart.beat()
        time.sleep(0.02)
        heart.finish_step(step + 1)
        heart.enter("save")
        _hang_where(hang == "save" and step == 2, write_to_a_dead_volume)
        heart.beat()
        ranks.meet()
        heart.finish_save()


def _hang_where(here: bool, hang: Callable[[], None]) -> None:
    if here:
        hang()


def wait_for_a_row() -> None:
    time.sleep(3600)


def write_to_a_dead_volume() -> None:
    nobody_reads, writer = os.pipe()
    while nobody_reads:
        os.write(writer, b"x" * 4096)  # blocks when the pipe is full


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _act(
    run_dir: RunDir, rank: int, script: dict[str, Any], received: list[signal.Signals], saved_step: int | None
) -> int:
    action, _, argument = script.get("do", "run").partition(":")
    while "after_rank" in script and run_dir.read_outcome(str(script["after_rank"])) is None:
        time.sleep(0.01)
    while "beside_rank" in script and script["beside_rank"] not in run_dir.rank_pids():
        time.sleep(0.01)  # before that a request to leave would end the other, which heeds none yet
    deadline = time.monotonic() + script.get("after", 600.0 if action == "run" else 0.0)
    while time.monotonic() < deadline and not (received and not script.get("stubborn")):
        time.sleep(0.01)
    if received and not script.get("stubborn"):
        time.sleep(script.get("drain", 0.1))
        outcome = Outcome.INTERRUPTED if received[0] == signal.SIGINT else Outcome.PREEMPTED
        return run_dir.write_outcome(outcome, "saved and left", rank=rank, step=saved_step)
    if action == "exit":
        return int(argument)
    if action == "signal":
        os.kill(os.getpid(), int(argument))
        time.sleep(600)
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
