"""What a program does besides when it is a container's main process: its last words, and files that others may use."""

import json
import os
from contextlib import suppress
from pathlib import Path

from finetune_api.outcomes import TerminationMessage

_MESSAGE_BESIDE_FACTS = 500
"""Characters of a message that is told together with facts: both have to fit into what Kubernetes keeps."""


def share_files_with_group() -> None:
    """Let files made from now on be changed by the group: pods of one job may have different users, but one fsGroup."""
    os.umask(0o002)


def leave_last_words(path: Path, message: TerminationMessage, **facts: object) -> None:
    """Write the termination message, with `facts` beside it; a file that cannot be written changes no exit code."""
    with suppress(OSError):
        path.write_text(last_words(message, **facts), encoding="utf-8")


def last_words(message: TerminationMessage, **facts: object) -> str:
    """Return the message as JSON with `facts`, which are small, as further keys."""
    if not facts:
        return message.to_json()
    short = message.model_copy(update={"message": message.message[:_MESSAGE_BESIDE_FACTS], "traceback": None})
    return json.dumps({**json.loads(short.to_json()), **facts}, ensure_ascii=False)
