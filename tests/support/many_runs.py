"""Trains several configurations one after another in the same ranks: imports are paid once.

Started by torchrun with a JSON file: a list of ports and run specifications. Each run meets at a port of its own,
because the ranks of a second process group would find the addresses of the first in the launcher's store.
"""

import json
import os
import sys
import time
from pathlib import Path

from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.run import run
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.stopping import StopFlag


def main() -> None:
    """Run each specification of the file that the command line names."""
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    for port, entry in json.loads(Path(sys.argv[1]).read_text()):
        os.environ["MASTER_PORT"] = str(port)
        spec = RunSpec.model_validate(entry)
        run(spec, RunDir(spec.run_dir), StopFlag(), Heartbeat(), time.monotonic())


if __name__ == "__main__":
    main()
