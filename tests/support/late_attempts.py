"""`python -m support.late_attempts FOLDER FIRST STRIDE`: an old attempt, stopped and woken too late, at each point.

A point is what the process is about to do to the output: open a file to write, rename, link, remove, make a directory,
swap two names, append to the metrics, or look at the claims. The process is stopped there by SIGSTOP; a newer attempt
trains to the end; the old one is woken and runs on to its own end. One JSON line a point tells what readers saw before
and after that. Every attempt is a fork of this process, which has imported everything once.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_api.config import load_training_config
from finetune_api.errors import RunError
from finetune_trainer import directories
from finetune_trainer.checkpoint.chain import newest_checkpoint
from finetune_trainer.checkpoint.integrity import find_damage
from finetune_trainer.data import prepare
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.metrics import MetricsFile
from finetune_trainer.run import run
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.stopping import StopFlag
from support.arc_runs import EXAMPLE, arc_config
from support.models import tiny_gpt2
from support.training import ALONE

_CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Points:
    """Counts the points of this process, and stops it at one of them."""

    def __init__(self, output: Path, stop_at: int | None) -> None:
        self.output, self.stop_at, self.seen = str(output), stop_at, list[str]()

    def install(self) -> None:
        """Watch this process from now on."""
        sys.addaudithook(self._hear)
        swap, write = directories.exchange, MetricsFile.write

        def exchange(first: Path, second: Path) -> bool:
            self._pass(f"exchange {first.name} {second.name}")
            return swap(first, second)

        def append(file: MetricsFile, line: dict[str, Any]) -> None:
            self._pass("append metrics.jsonl")
            write(file, line)

        directories.exchange = exchange
        MetricsFile.write = append  # type: ignore[method-assign, assignment]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not (event in _CHANGES or event == "os.scandir" or (event == "open" and _writes(arguments))):
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
        if path.startswith(self.output) and (event != "os.scandir" or path.endswith("attempts")):
            self._pass(f"{event} {path.removeprefix(self.output)}")

    def _pass(self, point: str) -> None:
        self.seen.append(point)
        if len(self.seen) - 1 == self.stop_at:
            os.kill(os.getpid(), signal.SIGSTOP)


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    return any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & _WRITING)


@dataclass(frozen=True)
class Scene:
    """What the attempts share: the model, the data, and configurations of two and of four steps."""

    root: Path

    def build(self) -> int:
        """Write everything, and an output in which attempt 0 finishes two steps; return its exit code."""
        model = tiny_gpt2(self.root / "tiny", dropout=0.0)
        (self.root / "preprocessing.py").write_text((EXAMPLE / "preprocessing.py").read_text())
        for steps in (2, 4):
            saving = {"max_duration": f"{steps}ba", "save_interval": "1ba", "save_num_checkpoints_to_keep": 1}
            (self.root / f"{steps}.yaml").write_text(json.dumps(arc_config(model, **saving)))
        config = load_training_config(self.root / "2.yaml").config
        data = prepare(config, self.root / "cache", code_dir=self.root)
        (self.root / "data.json").write_text(json.dumps([str(data.directory), data.sha256]))
        return self.attempt(self.root / "base", 0, steps=2)

    def attempt(self, output: Path, number: int, *, steps: int = 4, points: Points | None = None) -> int:
        """Train as a rank does, and return the exit code."""
        run_dir = RunDir(self.root / "runs" / f"{time.monotonic_ns()}-{number}")
        run_dir.create()
        directory, sha256 = json.loads((self.root / "data.json").read_text())
        run_dir.write_prepared(Path(directory), sha256)
        spec = RunSpec(
            config=self.root / f"{steps}.yaml",
            output=output,
            run_dir=run_dir.path,
            cache=self.root / "cache",
            attempt=number,
            job_uid="job",
        )
        if points is not None:
            points.install()
        try:
            run(spec, run_dir, StopFlag(), Heartbeat(), time.monotonic())
        except RunError as error:
            print(f"attempt {number}: {error.reason or error.outcome}: {error}", file=sys.stderr)
            return 75
        return 0

    def shown(self, output: Path) -> dict[str, Any]:
        """Return what readers of an output see."""
        found = newest_checkpoint(output, output / "checkpoints")
        return {
            "checkpoint": found[0].name if found else None,
            "damage": find_damage(*found, ALONE) if found else None,
            **{name: _digest(output / name) for name in ("metrics.jsonl", "run.json", "report.html")},
            "model is": (output / "model").stat().st_ino,
            "model": {path.name: _digest(path) for path in sorted((output / "model").iterdir())},
            "steps": [json.loads(line)["step"] for line in (output / "metrics.jsonl").read_text().splitlines()],
            "attempt": json.loads((output / "run.json").read_text())["attempt"],
        }


def forked(action: Callable[[], int]) -> int:
    """Start a process that does something and leaves with its exit code; return its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = action()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int:
    """Wait for a process and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_points(scene: Scene) -> list[str]:
    """Return the points of an attempt that nobody disturbs."""
    output = Path(shutil.copytree(scene.root / "base", scene.root / "counted"))
    points = Points(output, None)

    def action() -> int:
        code = scene.attempt(output, 1, points=points)
        (scene.root / "points.json").write_text(json.dumps(points.seen))
        return code

    assert ended(forked(action)) == 0
    found: list[str] = json.loads((scene.root / "points.json").read_text())
    return found


def disturb(scene: Scene, at: int, point: str) -> dict[str, Any]:
    """Stop attempt 1 at a point, let attempt 2 finish, wake the old one, and tell what readers saw."""
    output = Path(shutil.copytree(scene.root / "base", scene.root / "disturbed"))
    old = forked(lambda: scene.attempt(output, 1, points=Points(output, at)))
    _, status = os.waitpid(old, os.WUNTRACED)
    stopped = os.WIFSTOPPED(status)
    newer = ended(forked(lambda: scene.attempt(output, 2)))
    before = scene.shown(output)
    left = None
    if stopped:
        os.kill(old, signal.SIGCONT)
        left = ended(old)
    after = scene.shown(output)
    shutil.rmtree(output)
    return {"at": at, "point": point, "stopped": stopped, "newer": newer, "old": left, "before": before, "after": after}


def main() -> None:
    """Go through the points and print what was seen."""
    scene = Scene(Path(sys.argv[1]))
    first, stride = int(sys.argv[2]), int(sys.argv[3])
    assert ended(forked(scene.build)) == 0
    points = count_points(scene)
    print(json.dumps({"points": len(points), "undisturbed": scene.shown(scene.root / "counted")}))
    for at in range(first, len(points), stride):
        print(json.dumps(disturb(scene, at, points[at])), flush=True)


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


if __name__ == "__main__":
    main()
