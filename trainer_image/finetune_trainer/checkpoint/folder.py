"""Where the checkpoints of a run lie; light, because the launcher asks too before it has anything to load."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from finetune_api.config import TrainingConfig

FOLDER: Final = "checkpoints"
"""Of an output, unless `save_folder` names another."""


def checkpoint_folder(output: Path, config: "TrainingConfig") -> Path:
    """Return where a run's checkpoints lie: `save_folder`, else a folder of the output."""
    if config.save_folder is None:
        return output / FOLDER
    return Path(config.save_folder.replace("{run_name}", config.run_name or "run"))
