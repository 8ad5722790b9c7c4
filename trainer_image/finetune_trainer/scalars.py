"""The curves of a run for TensorBoard, when `loggers.tensorboard` asks for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune_api.config import TrainingConfig
from finetune_api.errors import Superseded
from finetune_trainer.fence import Fence


class Scalars:
    """Writes points of curves, or nothing when no logger is configured."""

    def __init__(self, config: TrainingConfig, output: Path) -> None:
        settings = config.loggers.tensorboard
        self._folder = Path(settings.log_dir) if settings and settings.log_dir else output / "tensorboard"
        self._wanted = settings is not None
        self._flush_interval = settings.flush_interval if settings else 1
        self._writer: Any = None

    def open(self, first: int, fence: Fence) -> None:
        """Start an event file after `first` steps; later points of an interrupted attempt are hidden by it.

        So that a late attempt hides nothing, its file goes again. Raises Superseded then.
        """
        if not self._wanted:
            return
        from torch.utils.tensorboard import SummaryWriter

        fence.guard()
        suffix = f".attempt-{fence.attempt}"
        self._writer = SummaryWriter(self._folder, purge_step=first + 1, filename_suffix=suffix)
        try:
            fence.guard()
        except Superseded:
            self.close()
            for file in self._folder.glob(f"events.*{suffix}"):
                file.unlink(missing_ok=True)
            raise

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each named curve."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            if step % self._flush_interval == 0:
                self._writer.flush()

    def close(self) -> None:
        """Write out what is buffered."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
