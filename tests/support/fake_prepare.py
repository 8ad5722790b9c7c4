"""The preparation without libraries: `FAKE_PREPARE` says how long it takes and how it ends."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from finetune_api.outcomes import Outcome
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.run_dir import RunDir


def main() -> int:
    die_with_parent()
    parser = argparse.ArgumentParser()
    for name in ("--config", "--cache", "--run-dir", "--code"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    script = json.loads(os.environ.get("FAKE_PREPARE", "{}"))
    run_dir = RunDir(options.run_dir)
    run_dir.write_pid("prepare", os.getpid())
    time.sleep(script.get("seconds", 0.0))
    if "signal" in script:
        os.kill(os.getpid(), signal.Signals(script["signal"]))
    if "outcome" in script:
        return run_dir.write_outcome(Outcome(script["outcome"]), "line 7 is not JSON", rank=None)
    run_dir.write_prepared(options.cache / "data", "0" * 64)
    return 0


if __name__ == "__main__":
    sys.exit(main())
