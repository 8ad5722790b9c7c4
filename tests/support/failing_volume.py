"""The real launcher on an output volume that fails: `$VOLUME` is JSON, the names of calls of `os` and their errno."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from finetune_trainer.launcher import __main__ as launcher


def failing(call: Callable[..., Any], number: int, volume: str) -> Callable[..., Any]:
    """`call`, but for paths on the volume."""

    def answer(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if os.fspath(path).startswith(volume):
            raise OSError(number, os.strerror(number), os.fspath(path))
        return call(path, *args, **kwargs)

    return answer


if __name__ == "__main__":
    volume = sys.argv[sys.argv.index("--output") + 1]
    for name, number in json.loads(os.environ["VOLUME"]).items():
        setattr(os, name, failing(getattr(os, name), number, volume))
    sys.exit(launcher.main())
