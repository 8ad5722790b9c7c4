"""What a process has used so far: CPU-seconds and the most memory at once, as Linux counts them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one or several processes have used."""

    cpu_seconds: float
    peak_megabytes: float

    def since(self, before: "Cost") -> "Cost":
        """The CPU-seconds since then; the memory stays the most of all time."""
        return Cost(self.cpu_seconds - before.cpu_seconds, self.peak_megabytes)


def cost_of(*pids: int) -> Cost:
    """Return what these running processes have used together; raises OSError for one that is gone."""
    return Cost(sum(map(_cpu_seconds, pids)), sum(map(_peak_megabytes, pids)))


def _cpu_seconds(pid: int) -> float:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold blanks
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_megabytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
