"""`python -m cluster up|down|status`: a local cluster for a person; `make cluster` calls it."""

import argparse
import sys

from cluster import playground
from cluster.binaries import ToolMissing
from cluster.images.base import BaseFailed
from cluster.images.buildkit import BuildFailed
from cluster.processes import ProcessFailed


def main() -> int:
    """Run one command; returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status", "hold"))
    parser.add_argument("--nodes", type=int, default=1, choices=range(1, 10), help="how many nodes run pods")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "up":
                return playground.up(arguments.nodes, print)
            case "down":
                return playground.down(print)
            case "status":
                return playground.status(print)
            case _:
                return playground.hold(arguments.nodes)
    except (ToolMissing, ProcessFailed, BuildFailed, BaseFailed) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
