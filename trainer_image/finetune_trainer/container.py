"""What a program does besides when it is a container's main process: its last words, and files that others may use."""

import os
from contextlib import suppress
from pathlib import Path

from finetune_api.outcomes import TerminationMessage


def share_files_with_group() -> None:
    """Let files made from now on be changed by the group: pods of one job may have different users, but one fsGroup."""
    os.umask(0o002)


def leave_last_words(path: Path, message: TerminationMessage, **facts: object) -> None:
    """Write the termination message, with `facts` beside it; a file that cannot be written changes no exit code."""
    with suppress(OSError):
        path.write_text(message.to_json(facts), encoding="utf-8")
