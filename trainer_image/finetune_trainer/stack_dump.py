"""The Python stack of a rank, written by itself when the launcher asks: also while it waits in a C library."""

import faulthandler
import signal
import threading
from pathlib import Path
from typing import Final

STACK_SIGNAL: Final = signal.SIGUSR2
"""Asks a rank for its stack. Sent only to ranks that have a heartbeat, and those have registered it before."""

PARTIAL: Final = "(the main thread is not among those shown: there are too many threads, or the answer is not whole)"
"""Instead of a stack: `faulthandler` shows a hundred threads, the newest first, and the main thread is the oldest."""

_MAIN = "main thread "
_SHOWN_FRAMES = 40
_COLLECTIVES = ("/distributed_c10d.py", "/c10d_logger.py", "/_functional_collectives.py", "/_fsdp_collectives.py")


def offer_stack(path: Path) -> None:
    """Have this process append the stacks of all its threads to `path` whenever it is asked; call it early."""
    # The file stays open for the process's life: the handler may not open one.
    file = path.open("w", encoding="utf-8")
    file.write(f"{_MAIN}{_name(threading.get_ident())}\n")
    file.flush()
    faulthandler.register(STACK_SIGNAL, file=file, all_threads=True)


def main_stack(text: str) -> str | None:
    """Return the main thread's frames, the innermost last, from what `offer_stack` made.

    None without an answer, PARTIAL for one that does not show the main thread, or not yet.
    """
    header, _, dump = text.partition("\n")
    name = header.removeprefix(_MAIN)
    blocks = [block for block in dump.split("hread ") if block.startswith(f"{name} ")]
    if not name or not dump.strip():
        return None
    frames = [line for line in blocks[-1].splitlines() if line.startswith("  ")] if blocks else []
    return "\n".join(reversed(frames[:_SHOWN_FRAMES])) or PARTIAL


def waits_for_peers(stack: str) -> bool:
    """Whether the innermost frames are those of a collective: such a rank waits for another one."""
    return any(file in line for line in stack.splitlines()[-3:] for file in _COLLECTIVES)


def _name(ident: int) -> str:
    """A thread's number as faulthandler writes it."""
    return f"0x{ident:016x}"
