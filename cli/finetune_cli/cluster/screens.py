"""How changing lines are shown: in place on a terminal, one after the other elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from finetune_cli.cluster.following import Trouble
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.progress_text import bar, facts, printable
from finetune_cli.cluster.session import say

_PER_SECOND: Final = 2

Lines = Callable[[datetime], Sequence[Text]]
"""What is to be seen at a moment: ages and times left change by themselves."""


class Screen(Protocol):
    """Shows the newest state of things."""

    def show(self, lines: Lines) -> None:
        """Show these lines from now on."""

    def trouble(self, sentence: str) -> None:
        """Say that nothing new can be seen just now."""

    def close(self) -> None:
        """Leave the last state on the screen."""


class LiveScreen:
    """Draws over what it drew before, twice a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: Lines = lambda _: ()
        self._trouble: str | None = None
        self._live = Live(
            console=console, get_renderable=self._drawn, refresh_per_second=_PER_SECOND, transient=True
        )  # fmt: skip
        self._live.start()

    def show(self, lines: Lines) -> None:
        """Show these lines from now on."""
        self._lines, self._trouble = lines, None

    def trouble(self, sentence: str) -> None:
        """Say it below the lines, until there is something new."""
        self._trouble = sentence

    def close(self) -> None:
        """Leave the last lines, all of them, however many there are."""
        self._live.stop()
        print_lines(self._console, self._lines(datetime.now(UTC)))

    def _drawn(self) -> Group:
        warning = [Text(printable(self._trouble), "yellow")] if self._trouble else []
        return Group(*self._lines(datetime.now(UTC)), *warning)


class PlainScreen:
    """Prints what it is given, once."""

    def __init__(self, write: Callable[[str], None], tell: Callable[[str], None] = say) -> None:
        self._write, self._tell = write, tell

    def show(self, lines: Lines) -> None:
        """Print the lines as they are now."""
        for line in lines(datetime.now(UTC)):
            self._write(line.plain)

    def trouble(self, sentence: str) -> None:
        """Say it on stderr."""
        self._tell(sentence)

    def close(self) -> None:
        """Everything is printed already."""


def print_lines(console: Console, lines: Sequence[Text]) -> None:
    """Print lines: with colours on a terminal, where rows of tables are cut; whole and plain elsewhere."""
    for line in lines:
        if console.is_terminal:
            console.print(line, highlight=False, no_wrap=line.no_wrap, overflow=line.overflow)
        else:
            console.print(line.plain, highlight=False, markup=False, soft_wrap=True)


def job_line(job: JobView, now: datetime, *, bars: bool = False, namespaces: bool = False) -> Text:
    """One line that tells how a job is."""
    progress = job.status.progress if not job.over else None
    drawn = f"{bar(progress, 20)} " if bars and bar(progress, 20) else ""
    numbers = " · ".join(facts(progress, now)) if progress and job.state == "Running" else printable(job.sentence)
    first = numbers.splitlines()[0] if numbers else ""
    name = f"{job.namespace}/{job.name}" if namespaces else job.name
    return Text(f"{name} {job.state}  {drawn}{first}".rstrip(), no_wrap=True, overflow="ellipsis")


@contextmanager
def one_line() -> Iterator[Callable[[JobView | Trouble], None]]:
    """Give a function that shows how a job is: in one changing line on a terminal, nowhere else; troubles always."""
    if not sys.stderr.isatty():
        yield lambda seen: say(seen.sentence) if isinstance(seen, Trouble) else None
        return
    console = Console(stderr=True)
    state: list[JobView] = []

    def drawn() -> Text:
        return job_line(state[0], datetime.now(UTC), bars=True) if state else Text()

    def see(seen: JobView | Trouble) -> None:
        if isinstance(seen, Trouble):
            console.print(Text(f"finetune: {seen.sentence}", "yellow"))
        else:
            state[:] = [seen]

    with Live(console=console, get_renderable=drawn, refresh_per_second=_PER_SECOND, transient=True):
        yield see
