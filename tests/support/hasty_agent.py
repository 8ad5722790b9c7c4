"""The real agent around the real torchrun, which kills the peers of a rank that left after 1 second instead of 30.

torch has no parameter for that: `--shutdown-timeout` is about signals to torchrun itself.
"""

import os
import sys

from torch.distributed.elastic.multiprocessing.api import SubprocessContext

from finetune_trainer.launcher import agent

KILL_SECONDS = 1

if __name__ == "__main__":
    patient = SubprocessContext._close
    SubprocessContext._close = lambda self, death_sig, timeout=30: patient(self, death_sig, KILL_SECONDS)  # type: ignore[method-assign]
    code = agent.main()
    sys.stdout.flush()
    os._exit(code)
