"""`python -m soak`: many jobs, a real operator and random faults from a seed, with every happening checked.

make soak                      200 jobs from a seed that is printed
make soak SEED=7               the same again, or what was left of it after Ctrl-C
make soak SEED=7 JOBS=20       a short one; another number of jobs is another script
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from soak.memory import Memory
from soak.run import Broken, Figures, Soak
from soak.script import Script, draw

_OUT: Final = Path(__file__).parents[2] / "out" / "soak"
_LARGEST_SEED: Final = 10**6
_LINE_SECONDS: Final = 10.0
BROKEN: Final = 1
INTERRUPTED: Final = 130


def main() -> int:
    """Soak, and return the exit code."""
    options = _parser().parse_args()
    seed = random.randrange(_LARGEST_SEED) if options.seed is None else options.seed
    again = f"make soak SEED={seed}" + (f" JOBS={options.jobs}" if options.jobs != 200 else "")
    script = draw(seed, options.jobs)
    memory = Memory.of(options.directory / str(seed), seed, options.jobs)
    left = sum(story.name not in memory.done for story in script.stories)
    print(f"soak with seed {seed}: {left} of {options.jobs} jobs; everything is kept in {memory.directory}", flush=True)
    soak = Soak(script, memory, package=options.package, say=_Progress())
    try:
        figures = asyncio.run(soak.play())
    except KeyboardInterrupt:
        print(f"\ninterrupted after {len(memory.done)} jobs; to go on: {again}")
        return INTERRUPTED
    except BaseExceptionGroup as group:
        return _tell(group, script, again)
    except Broken as broken:
        return _tell(BaseExceptionGroup("", [broken]), script, again)
    print("\n" + report(figures, seed))
    if options.real and not _real(seed, memory, f"{again} REAL=1"):
        return BROKEN
    memory.finish()
    return 0


def _real(seed: int, memory: Memory, again: str) -> bool:
    """Run the real jobs, and tell whether all of them ended as they had to."""
    from soak import real  # only here: it needs images, and a cluster that can run them

    try:
        for name in real.soak(seed, memory.directory, memory.done):
            memory.note_done(name)
            print(f"{name} ended as it had to", flush=True)
    except AssertionError as error:
        print(f"\n{error}\n\nBROKEN on real pods\nto repeat it: {again}")
        return False
    return True


def report(figures: Figures, seed: int) -> str:
    """Say what a soak came to."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in figures.attempts.most_common())
    struck = ", ".join(f"{count} x {fault}" for fault, count in figures.struck.most_common())
    checks = sum(figures.checks.values())
    return "\n".join(
        (
            f"seed {seed}: {figures.stories} jobs ended as they had to in {figures.seconds:.0f} s; no invariant broken",
            f"  attempts: {outcomes}",
            f"  faults of the cluster: {struck}",
            f"  {figures.happenings} happenings of {figures.pods} pods and their jobs, {checks} checks",
            f"  operator: {figures.megabytes:.0f} MiB at most, {figures.requests} requests, "
            f"ended by itself {figures.ended_by_itself} times; asked for progress {figures.asked} times",
        )
    )


def _tell(group: BaseExceptionGroup[BaseException], script: Script, again: str) -> int:
    broken, other = group.split(Broken)
    for error in _leaves(broken) if broken else ():
        assert isinstance(error, Broken)
        story = next((one for one in script.stories if one.name == error.breach.job), None)
        print(f"\n\n{error.history}\n\nThe story: {story}\n\nBROKEN: {error}\nto repeat it: {again}")
        return BROKEN
    assert other is not None
    raise other


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


class _Progress:
    """One line that is written over on a terminal, and now and then a new one elsewhere."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, line: str) -> None:
        if sys.stdout.isatty():
            print(f"\r{line}\x1b[K", end="", flush=True)
        elif time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--seed", type=int, metavar="N", help="of the script; random without it")
    add("--jobs", type=int, default=200, metavar="N", help="how many jobs there are (%(default)s)")
    add("--directory", type=Path, default=_OUT, metavar="DIR", help="where everything is kept (%(default)s)")
    add("--real", action="store_true", help="afterwards run ten jobs on real pods")
    add("--package", type=Path, metavar="DIR", help="run the operator of the copy of this repository that is here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
