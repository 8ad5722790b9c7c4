"""How many CPUs and GPUs this process may really use, found without a library that takes seconds to load."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")


def available_cpus(cpu_max: Path = _CGROUP_V2) -> int:
    """The CPUs granted by affinity and by the container's quota, at least one.

    torch counts the machine's cores; in a container limited to 2 of 64 it would start 64 threads.
    """
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(granted, _quota(cpu_max) or granted))


def visible_gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> int:
    """How many GPUs a process may use."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([part for part in chosen.split(",") if part.strip() not in ("", "-1")])
    return len([entry for entry in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", entry.name)])


def _quota(cpu_max: Path) -> int | None:
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, round(int(quota) / int(period)))
