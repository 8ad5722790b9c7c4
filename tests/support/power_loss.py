"""`python -m support.power_loss FOLDER`: a whole attempt, and what of it would outlive a loss of power.

One JSON line: for each checkpoint, when it came to exist, the steps that the metrics would have told of; and what would
be lost of the results at the end.
"""

import json
import sys
from pathlib import Path

import pytest

from support.late_attempts import Scene
from support.power import Disk

RESULTS = ("metrics.jsonl", "run.json", "report.html", "model", "checkpoints", "attempts")


class Watched(Disk):
    """Looks at the metrics whenever a checkpoint is about to exist."""

    def __init__(self, output: Path) -> None:
        super().__init__()
        self.told: list[list[int]] = []
        self._output = output

    def _keep(self, path: Path) -> None:
        super()._keep(path)
        if path.resolve().name == ".manifest.json":
            lines = self.kept(self._output / "metrics.jsonl").splitlines()
            self.told.append([json.loads(line)["step"] for line in lines])


def main() -> None:
    """Train two steps, with a checkpoint after each."""
    scene = Scene(Path(sys.argv[1]))
    output = scene.root / "base"
    with pytest.MonkeyPatch.context() as patched:
        disk = Watched(output)
        disk.install(patched)
        code = scene.build()
    lost = [str(path.relative_to(output)) for name in RESULTS for path in disk.lost(output / name)]
    print(json.dumps({"code": code, "told": disk.told, "lost": lost}))


if __name__ == "__main__":
    main()
