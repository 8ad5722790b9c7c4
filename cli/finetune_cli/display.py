"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

PHASES = {
    "import": "starting",
    "prepare": "preparing data",
    "load": "loading the model",
    "train": "training",
    "eval": "evaluating",
    "save": "saving",
    "export": "exporting",
    "done": "done",
}
_STEP_LINE = re.compile(r"step \d+/\d+ ")


class Display(Protocol):
    """Shows the events and the log lines of a run."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Show a progress event."""

    def log(self, line: str) -> None:
        """Show a line that a rank printed."""

    def note(self, text: str) -> None:
        """Show a sentence of the command itself."""

    def close(self) -> None:
        """Show nothing more."""


def open_display(console: Console) -> Display:
    """The display that suits the console."""
    if console.is_terminal:
        return BarDisplay(console)
    return PlainDisplay(lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True))


class PlainDisplay:
    """One line for each thing that happens; steps come from rank 0's own lines, at its own interval."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown: set[str] = set()

    def event(self, event: Mapping[str, Any]) -> None:
        """Show a phase that begins for the first time, or a warning."""
        phase = str(event.get("phase", ""))
        if event["event"] == "phase" and phase not in self._shown:
            self._shown.add(phase)
            self._write(PHASES.get(phase, phase))
        elif event["event"] == "message" and event.get("level") == "warning":
            self._write(f"warning: {event.get('text')}")

    def log(self, line: str) -> None:
        """Show the line as it is."""
        self._write(line)

    def note(self, text: str) -> None:
        """Show the sentence as it is."""
        self._write(text)

    def close(self) -> None:
        """Nothing is left open."""


class BarDisplay:
    """A bar with phase, step, loss, learning rate, speed and time left; log lines scroll above it."""

    def __init__(self, console: Console) -> None:
        columns = TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.fields[facts]}")
        self._progress = Progress(*columns, console=console, transient=True)
        self._task: TaskID = self._progress.add_task(PHASES["import"], total=None, facts="")
        self._progress.start()

    def event(self, event: Mapping[str, Any]) -> None:
        """Move the bar, change the phase, or show a warning above."""
        match event["event"]:
            case "phase":
                phase = str(event.get("phase"))
                self._progress.update(self._task, description=PHASES.get(phase, phase))
            case "prepare":
                done, total = event.get("done"), event.get("total")
                facts = f"{event.get('split')}: {done} rows"
                self._progress.update(self._task, completed=done, total=total, facts=facts)
            case "step":
                step, total = event.get("step"), event.get("totalSteps")
                self._progress.update(self._task, completed=step, total=total, facts=step_facts(event))
            case "message" if event.get("level") == "warning":
                self._progress.console.print(Text(f"warning: {event.get('text')}", "yellow"))

    def log(self, line: str) -> None:
        """Show the line above the bar, unless it says only what the bar shows."""
        if not _STEP_LINE.match(line):
            self._progress.console.print(Text(line))

    def note(self, text: str) -> None:
        """Show the sentence above the bar."""
        self._progress.console.print(Text(text, "bold"))

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


def step_facts(event: Mapping[str, Any]) -> str:
    """The numbers of a step event, as many of them as it has."""
    facts = [f"{event.get('step')}/{event.get('totalSteps')}"]
    formats = {"loss": "loss {:.4f}", "lr": "lr {:.3g}", "tokensPerSecond": "{:.0f} tokens/s"}
    facts += [text.format(event[name]) for name, text in formats.items() if isinstance(event.get(name), int | float)]
    if isinstance(event.get("etaSeconds"), int | float):
        facts.append(f"{duration(event['etaSeconds'])} left")
    return " · ".join(facts)


def duration(seconds: float) -> str:
    """`42s`, `3m05s`, `2h07m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
