"""The real operator as a process: killed, started again, and its cost and its complaints noted."""

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster.components import LOOPBACK
from cluster.control_plane import ControlPlane
from cluster.ports import free_port
from cluster.processes import Process
from cluster.rest import Rest

USER: Final = "finetune-operator"
"""Under which name the API server knows it."""
_AUDIT: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [USER]}, {"level": "None"}],
}
_GRACE: Final = 10.0


def audit_flags(directory: Path) -> tuple[str, ...]:
    """Write the policy and return the API server's flags by which it notes what the operator asks for."""
    policy = directory / "audit-policy.json"
    policy.write_text(json.dumps(_AUDIT), encoding="utf-8")
    return f"--audit-policy-file={policy}", f"--audit-log-path={directory / 'audit.log'}"


@dataclass
class Operator:
    """One operator after another; start them from the main thread."""

    plane: ControlPlane
    directory: Path
    settings: Path
    package: Path | None = None
    """A directory with another copy of the operator's package, which is run in its place."""
    kills: int = 0
    ends: int = 0
    """How often it ended by itself, as where it waits for Kubernetes to start it again."""
    peak_megabytes: float = 0.0
    ready: bool = False
    """Whether it has said so, and was not killed since."""
    _process: Process | None = field(default=None)
    _health: Rest = field(init=False)

    @property
    def log(self) -> Path:
        """What all of them said."""
        return self.directory / "operator.log"

    def start(self) -> None:
        """Start one."""
        kubeconfig = self.plane.user_kubeconfig(USER, ["system:masters"])
        health = free_port()
        self._health, self.ready = Rest(f"http://{LOOPBACK}:{health}"), False
        ports = ["--health-port", str(health), "--metrics-port", str(free_port())]
        command = [sys.executable, "-m", "finetune_operator", "--kubeconfig", str(kubeconfig), *ports]
        paths = os.pathsep.join(str(self.package / part) for part in ("operator", "api")) if self.package else ""
        environment = {"NO_PROXY": "*", **({"PYTHONPATH": paths} if paths else {})}
        command += ["--settings", str(self.settings)]
        self._process = Process("operator", command, self.log, environment)

    def kill(self) -> None:
        """Kill it, as nothing can be done against."""
        if self._process is not None:
            self._note_cost()
            self._process.stop()
            self._process, self.ready, self.kills = None, False, self.kills + 1

    def look_alive(self) -> None:
        """Start one, unless another was started meanwhile."""
        if self._process is None:
            self.start()

    def stop(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._note_cost()
            self._process.stop(_GRACE)
            self._process = None

    def look(self) -> None:
        """Note its cost, and start it again when it has ended by itself."""
        if self._process is not None and not self._process.alive:
            self._process.stop()
            self.ends += 1
            self.start()
        self.ready = self.ready or (self._process is not None and self._health.answers("/readyz"))
        self._note_cost()

    def complaints(self) -> Iterator[str]:
        """Yield what of its log should not be there: errors, and lines that are no JSON, such as tracebacks."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                yield line
            else:
                if said.get("level") in ("error", "critical"):
                    yield line

    def requests(self) -> Counter[str]:
        """Count what it asked of the API server, by verb and resource."""
        counts: Counter[str] = Counter()
        with contextlib.suppress(FileNotFoundError), (self.directory / "audit.log").open(encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line)
                about = entry.get("objectRef") or {}
                what = "/".join(filter(None, (about.get("resource", "-"), about.get("subresource"))))
                counts[f"{entry['verb']} {what}"] += 1
        return counts

    def _note_cost(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
            peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
            self.peak_megabytes = max(self.peak_megabytes, int(peak) / 1024)
