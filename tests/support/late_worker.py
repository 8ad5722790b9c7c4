"""A real rank 1 whose libraries take until the file `$LIBRARIES` is there to be read."""

import os
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from finetune_trainer import worker


class SlowVolume(MetaPathFinder):
    """Finds nothing, and takes its time over the first of the heavy modules."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Wait for the file, then leave it to the other finders."""
        while name == "finetune_trainer.run" and not Path(os.environ["LIBRARIES"]).exists():
            time.sleep(0.01)
        return None


if __name__ == "__main__":
    if os.environ["RANK"] == "1":
        sys.meta_path.insert(0, SlowVolume())
    worker.main()
