"""Inside of a rank: strikes at the point that the variable FAULT names; only the tests' image carries this module.

FAULT is JSON: {"pace": seconds that each step takes longer, "attempt": 0, "rank": 1, "point": "step", "step": 7,
"do": "exit:3"}. A point is `step` (a step begins), `row` (a row is read), `save` (a checkpoint's file is opened) or
`load` (the model is). There the rank says that it is `reached`, waits until it may `go`, and does what it was told;
`pass` does nothing, for faults that come from outside.
"""

import errno
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_WORKER: Final = "finetune_trainer.worker"
_POLL: Final = 0.01
_HOARD: Final = 1 << 26
_ERRORS: Final = {"ENOSPC": errno.ENOSPC, "EROFS": errno.EROFS}


class Fault:
    """What this rank does, and where."""

    def __init__(self, order: dict[str, Any], spec: dict[str, Any], rank: int) -> None:
        self.order = order
        self.folder = Path(spec["output"]) / "strike"
        self.armed = "do" in order and spec["attempt"] == order.get("attempt", 0) and rank == order.get("rank")
        self.rank = rank
        self.step = 0
        self.poisoned = False

    def begins(self, step: int) -> None:
        """A step begins."""
        self.step = step
        time.sleep(self.order.get("pace", 0.0))
        self.at("step", step)

    def at(self, point: str, step: int) -> None:
        """Strike if this is the point."""
        if self.armed and point == self.order["point"] and step >= self.order.get("step", 0):
            self.armed = False
            self._wait(point, step)
            self._do(*self.order["do"].partition(":")[::2])

    def _wait(self, point: str, step: int) -> None:
        self.folder.mkdir(exist_ok=True)
        reached = {"rank": self.rank, "step": step, "point": point, "pid": os.getpid(), "time": time.time()}
        aside = self.folder / "reached.new"
        aside.write_text(json.dumps(reached), encoding="utf-8")
        aside.rename(self.folder / "reached")
        # A volume that was made read-only cannot show a new file.
        while not (self.folder / "go").exists() and not os.statvfs(self.folder).f_flag & os.ST_RDONLY:
            time.sleep(_POLL)

    def _do(self, what: str, argument: str) -> None:
        match what:
            case "exit":
                os._exit(int(argument))
            case "signal":
                os.kill(os.getpid(), signal.Signals[argument])
            case "raise":
                raise RuntimeError(f"injected into step {self.step}")
            case "error":
                raise OSError(_ERRORS[argument], os.strerror(_ERRORS[argument]))
            case "nan":
                self.poisoned = True
            case "block":
                time.sleep(float(argument or 86400))
            case "allocate":
                hoard = []
                while True:
                    hoard.append(b"x" * _HOARD)

    def opens(self, path: str, flags: int) -> None:
        """A file is about to be opened."""
        if "/checkpoints/" in path and flags & (os.O_WRONLY | os.O_RDWR):
            self.at("save", self.step)
        elif path.startswith("/model/"):
            self.at("load", self.step)


def _into_seeding(module: Any, fault: Fault) -> None:
    original = module.seed_step

    def seed_step(seed: int, step: int, rank: int) -> None:
        fault.begins(step)
        original(seed, step, rank)

    module.seed_step = seed_step


def _into_rows(module: Any, fault: Fault) -> None:
    original = module.TokenizedDataset.row

    def row(dataset: object, i: int) -> object:
        fault.at("row", fault.step)
        return original(dataset, i)

    module.TokenizedDataset.row = row


def _into_loss(module: Any, fault: Fault) -> None:
    original = module.loss_sum

    def loss_sum(*arguments: object, **keywords: object) -> Any:
        loss = original(*arguments, **keywords)
        return loss * float("nan") if fault.poisoned else loss

    module.loss_sum = loss_sum


_PLACES: Final[dict[str, Callable[[Any, Fault], None]]] = {
    "finetune_trainer.train.seeding": _into_seeding,
    "finetune_trainer.data.arrow_file": _into_rows,
    "finetune_trainer.train.loss": _into_loss,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Changes the trainer's modules the moment they are imported."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the module as usual, and have it changed once it is executed."""
        change = _PLACES.get(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path) if change else None
        if change is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            change(module, self._fault)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Prepare this process if it is a rank and has an order."""
    words = sys.orig_argv
    if "FAULT" not in os.environ or _WORKER not in words or "--spec" not in words:
        return
    spec = json.loads(Path(words[words.index("--spec") + 1]).read_text(encoding="utf-8"))
    fault = Fault(json.loads(os.environ["FAULT"]), spec, int(os.environ["RANK"]))
    sys.meta_path.insert(0, _Finder(fault))
    if fault.armed and fault.order["point"] in ("save", "load"):
        sys.addaudithook(lambda event, given: fault.opens(str(given[0]), given[2] or 0) if event == "open" else None)


install()
