"""kubectl, as a function."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from cluster.binaries import find

_SECONDS: Final = 120


class KubectlFailed(Exception):
    """kubectl ended with an error; the message is what it said."""


def kubectl(kubeconfig: Path, *arguments: str | Path, stdin: str | dict[str, Any] = "") -> str:
    """Run kubectl and return its output; `stdin` goes to `-f -`, as text or as an object; raises KubectlFailed."""
    done = subprocess.run(
        [find("kubectl"), "--kubeconfig", kubeconfig, *arguments],
        input=stdin if isinstance(stdin, str) else json.dumps(stdin),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise KubectlFailed(done.stderr.strip() or done.stdout.strip())
    return done.stdout
