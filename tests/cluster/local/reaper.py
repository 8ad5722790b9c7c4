"""Removes a local cluster once standard input ends: `python -m cluster.local.reaper DIRECTORY < PIPE`."""

import sys
from pathlib import Path

from cluster.local import remains


def main() -> None:
    """Wait for whoever holds the other end to let go, or to die."""
    sys.stdin.buffer.read()
    remains.remove(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
