"""`python -m faults`: strikes real pods in forty-one ways and prints what was made of it; `make faults` calls it."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Final

from cluster.binaries import ToolMissing
from cluster.images.base import BaseFailed
from cluster.images.buildkit import BuildFailed
from cluster.processes import ProcessFailed
from faults.cases import CASES, SEED
from faults.matrix import Plan, conclude, run, say

_STATE: Final = Path(__file__).parents[2] / "out" / "faults"


def main() -> int:
    """Run the matrix; returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("--only", nargs="+", choices=names, metavar="CASE", help=f"of {', '.join(names)}")
    parser.add_argument("--seed", type=int, default=SEED, help="chooses the ranks and steps that are struck")
    parser.add_argument("--fresh", action="store_true", help="play also what was played before")
    parser.add_argument("--table", action="store_true", help="print the table of what was played, and play nothing")
    parser.add_argument("--lanes", type=int, default=2, help="cases at the same time")
    parser.add_argument("--state", type=Path, default=_STATE, help="where results are kept")
    options = parser.parse_args()
    state = options.state / str(options.seed)
    cases = [case for case in CASES if not options.only or case.name in options.only]
    plan = Plan(cases, options.seed, state, options.lanes)
    if options.fresh:
        _forget(plan, everything=not options.only)
    try:
        return conclude(plan, say) if options.table else run(plan, say)
    except (ToolMissing, ProcessFailed, BuildFailed, BaseFailed) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped; what was played is kept in {state}, and the next `make faults` goes on", file=sys.stderr)
        return 130


def _forget(plan: Plan, *, everything: bool) -> None:
    if everything:
        shutil.rmtree(plan.state, ignore_errors=True)
    for case in plan.cases:
        (plan.state / f"{case.name}.json").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
