"""How the processes of one node ended: what the agent reported, what the ranks left, and what was seen from here."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune_trainer.launcher.arguments import NodeLaunch
from finetune_trainer.launcher.causes import End
from finetune_trainer.launcher.processes import Child, Watched
from finetune_trainer.rank_outcome import RankOutcome
from finetune_trainer.run_dir import PREPARE, RunDir


@dataclass(frozen=True)
class AgentReport:
    """What the agent left behind: exit codes other than 0 by rank, or torchrun's own failure."""

    exit_codes: dict[int, int]
    error: str | None
    reason: str | None = None

    @classmethod
    def read(cls, path: Path) -> "AgentReport | None":
        """The report, or None when the agent died before writing it."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cls(
            {int(rank): code for rank, code in record["exitCodes"].items()}, record["error"], record.get("reason")
        )


class NodeAccount:
    """Notes when each process of a node ended, and tells in the end how."""

    def __init__(self, launch: NodeLaunch, run_dir: RunDir) -> None:
        self._launch = launch
        self._dir = run_dir
        self._ended_ns: dict[str, int] = {}

    def note_end(self, name: str) -> None:
        """Remember when a process was first seen to be gone."""
        self._ended_ns.setdefault(name, time.monotonic_ns())

    def ended_ns(self, name: str) -> int | None:
        """Return when a process was first seen to be gone, None for one that lives."""
        return self._ended_ns.get(name)

    def ends(self, ranks: Mapping[int, Watched], agent: Child, prepare: Child | None) -> list[End]:
        """Return the ends of all processes that may be a cause, `ranks` being those that came to life."""
        report = AgentReport.read(self._launch.run_dir / "agent.json")
        ends = [self._end_of_rank(rank, ranks.get(rank), report) for rank in self._launch.ranks]
        if report is None:
            ends += self._end_of_child(agent, None)
        elif report.error is not None:
            ends.append(self._end(agent.name, error=report.error, reason=report.reason))
        if prepare is not None and self._dir.read_prepared() is None:
            ends += self._end_of_child(prepare, self._dir.read_outcome(PREPARE))
        return ends

    def _end_of_rank(self, rank: int, process: Watched | None, report: AgentReport | None) -> End:
        name = f"rank {rank}"
        outcome = self._dir.read_outcome(str(rank))
        if report is None or report.error is not None:
            # Its exit code is unknown because the agent is gone, and it went with its agent.
            return self._end(name, rank=rank, stopped=True, outcome=outcome)
        killed = process is not None and process.killed
        code = report.exit_codes.get(rank, 0)
        return self._end(name, rank=rank, exit_code=code, stopped=killed, outcome=outcome)

    def _end_of_child(self, child: Child, outcome: RankOutcome | None) -> list[End]:
        """A child killed here is never the cause: whoever had it killed is."""
        return [] if child.killed else [self._end(child.name, exit_code=child.exit_code, outcome=outcome)]

    def _end(
        self,
        name: str,
        *,
        rank: int | None = None,
        exit_code: int | None = None,
        stopped: bool = False,
        outcome: RankOutcome | None = None,
        error: str | None = None,
        reason: str | None = None,
    ) -> End:
        at_ns = self._ended_ns.get(name, time.monotonic_ns())
        return End(name, rank, exit_code, at_ns, stopped, outcome, error, reason)
