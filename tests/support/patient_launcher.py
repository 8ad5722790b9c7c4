"""The real launcher, which gives ranks as long to answer, and to tell a cause, as they need on a busy machine.

It has no parameters for that: on a machine that trains, fractions of a second are plenty.
"""

import sys

from finetune_trainer.launcher import __main__ as launcher
from finetune_trainer.launcher import hang, supervise

if __name__ == "__main__":
    hang._ANSWER_SECONDS = 2.5
    supervise._ECHO_SECONDS = 60.0
    sys.exit(launcher.main())
