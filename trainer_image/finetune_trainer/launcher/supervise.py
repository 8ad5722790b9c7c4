"""The launcher's loop: start the preparation and torchrun, watch, end what must end, decide the outcome."""

import selectors
import signal
import time
from dataclasses import replace

from finetune_api.causes import Cause, Kind, kind_of_message, kind_of_outcome
from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.launcher.account import NodeAccount
from finetune_trainer.launcher.announce import announce, receive, withdraw_stale
from finetune_trainer.launcher.arguments import (
    NodeLaunch,
    agent_command,
    agent_environment,
    prepare_command,
)
from finetune_trainer.launcher.causes import Stop, decide
from finetune_trainer.launcher.hang import Hang, HangWatch
from finetune_trainer.launcher.parent_death import environment_of_child
from finetune_trainer.launcher.processes import Child, Watched
from finetune_trainer.launcher.progress import last_step
from finetune_trainer.launcher.signals import SignalInbox
from finetune_trainer.launcher.volume import words_about
from finetune_trainer.launcher.watchdog import bounds_of
from finetune_trainer.run_dir import RunDir

_PULSE_SECONDS = 0.05
"""How often files are looked at; deaths wake the loop at once where the system has pidfds."""

_ECHO_SECONDS = 0.3
"""After a communication error, how long its cause has to report itself before the survivors are killed."""

_AGENT_SECONDS = 5.0
"""How long the agent may take to report exit codes once every rank is gone."""

_ABANDON_SECONDS = 5.0
"""How long a run that hung may take to die: a process that waits in the kernel for a device never does."""


class NodeRun:
    """One node's share of one attempt, from the first process to the final word."""

    def __init__(self, launch: NodeLaunch, inbox: SignalInbox) -> None:
        self._launch = launch
        self._inbox = inbox
        self._dir = RunDir(launch.run_dir)
        self._selector = selectors.DefaultSelector()
        self._ranks: dict[int, Watched] = {}
        self._account = NodeAccount(launch, self._dir)
        self._stop: Stop | None = None
        self._stop_deadline = float("inf")
        self._kill_at = float("inf")
        self._ranks_gone_at: float | None = None
        self._prepared = False
        self._watch = HangWatch(self._dir, bounds_of(launch.step_timeout, launch.phase_timeouts))
        self._hang: Hang | None = None
        self._abandon_at = float("inf")
        self._volume: TerminationMessage | None = None

    def run(self) -> TerminationMessage:
        """Run to the end.

        Every process started here is gone when it returns, save one that the kernel does not let die: a run that hung
        or lost its volume is left after `_ABANDON_SECONDS`. Raises OSError when nothing could be started.
        """
        self._start()
        try:
            self._attend()
        except OSError as error:
            self._volume = words_about(error, self._launch)
            self._abandon()
        own = self._hang.cause if self._hang else None
        if self._volume is not None:
            own = Cause(kind_of_message(self._volume), time.monotonic_ns(), self._volume)
        ends = self._account.ends(self._ranks, self._agent, self._prepare)
        return decide(ends, self._stop, last_step(self._dir.progress_file), own)

    def _attend(self) -> None:
        while self._any_alive() and time.monotonic() < self._abandon_at:
            self._selector.select(_PULSE_SECONDS)
            self._adopt_ranks()
            self._follow_preparation()  # what was there before a request to leave counts
            self._heed_signals()
            self._follow_leavers()
            self._note_deaths()
            self._watch_for_hang()
            self._enforce_deadlines()

    def _abandon(self) -> None:
        """Kill all, and wait as long as that takes unless the kernel keeps a process."""
        self._abandon_at = time.monotonic() + _ABANDON_SECONDS
        self._kill_everything()
        while self._any_alive() and time.monotonic() < self._abandon_at:
            time.sleep(_PULSE_SECONDS)

    @property
    def facts(self) -> dict[str, object]:
        """What is told beside the final word."""
        return {"hang": self._hang.fact()} if self._hang else {}

    def _start(self) -> None:
        launch = self._launch
        self._inbox.register(self._selector)
        launch.spec().save(launch.run_dir / "spec.json")
        self._prepare: Child | None = None
        if launch.prepares:
            withdraw_stale(launch)
            command = prepare_command(launch)
            self._prepare = self._spawn("the data preparation", command, environment_of_child())
        self._agent = self._spawn("the torchrun agent", agent_command(launch), agent_environment(launch))

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        child = Child(name, command, environment)
        child.register(self._selector)
        return child

    def _everything(self) -> list[Watched]:
        children = [self._agent] if self._prepare is None else [self._prepare, self._agent]
        return [*children, *self._ranks.values()]

    def _any_alive(self) -> bool:
        return any(process.alive() for process in self._everything())

    # What is asked from outside

    def _heed_signals(self) -> None:
        for number in self._inbox.take():
            if self._stop is None or self._stop.of_rank:
                self._ask_to_leave(Stop(number, self._launch.grace))
            elif number == signal.SIGINT:
                self._kill_overdue()

    def _follow_leavers(self) -> None:
        """Follow a rank that was asked alone and left before there was data: those that get some would wait for it."""
        for rank in self._ranks if self._stop is None else ():
            outcome = self._dir.read_outcome(str(rank))
            if outcome is not None and outcome.step is None and kind_of_outcome(outcome.outcome) is Kind.DRAINED:
                number = signal.SIGINT if outcome.outcome is Outcome.INTERRUPTED else signal.SIGTERM
                return self._ask_to_leave(Stop(number, self._launch.grace, of_rank=True))

    def _ask_to_leave(self, stop: Stop) -> None:
        self._stop = stop
        self._stop_deadline = time.monotonic() + stop.grace
        if self._prepare is not None:
            self._prepare.kill()  # loses nothing: prepared data appears whole or not at all
        for rank in self._ranks.values():
            rank.send(stop.signal)
        if not any(rank.alive() for rank in self._ranks.values()):
            self._agent.kill()

    def _kill_overdue(self) -> None:
        if self._stop is not None and self._any_alive():
            self._stop = replace(self._stop, overdue=True)
            self._kill_everything()

    # What happens inside

    def _adopt_ranks(self) -> None:
        for rank, pid in self._dir.rank_pids().items() if len(self._ranks) < len(self._launch.ranks) else ():
            if rank not in self._ranks:
                self._ranks[rank] = Watched(f"rank {rank}", pid)
                self._ranks[rank].register(self._selector)
                if self._stop is not None:
                    self._ranks[rank].send(self._stop.signal)

    def _follow_preparation(self) -> None:
        if self._prepared:
            return
        if self._prepare is None:
            # Ranks that were asked to leave have seen that there is no data, and may be gone already.
            self._prepared = self._stop is None and receive(self._launch, self._dir)
        elif not self._prepare.alive():
            self._prepared = True
            if not self._prepare.killed:
                self._end_preparation()

    def _end_preparation(self) -> None:
        prepared = self._dir.read_prepared()
        if prepared is None:
            self._kill_everything()
        elif self._launch.nnodes > 1:
            launch = self._launch
            announce(launch.output, prepared, job_uid=launch.job_uid, attempt=launch.attempt)

    def _note_deaths(self) -> None:
        for process in self._everything():
            if self._account.ended_ns(process.name) is None and not process.alive():
                self._account.note_end(process.name)
                process.unregister(self._selector)
        for rank, process in self._ranks.items():
            ended_ns = self._account.ended_ns(process.name)
            if ended_ns is not None:
                self._plan_kill(rank, ended_ns)
        if self._agent.exit_code is not None:
            self._kill_everything()

    def _plan_kill(self, rank: int, ended_ns: int) -> None:
        """The peers of a rank that failed cannot go on; those of one that finished or saved can."""
        outcome = self._dir.read_outcome(str(rank))
        kind = Kind.SIGNAL if outcome is None else kind_of_outcome(outcome.outcome)
        if kind < Kind.STOPPED:
            wait = _ECHO_SECONDS if kind is Kind.COMMUNICATION else 0.0
            self._kill_at = min(self._kill_at, ended_ns / 1e9 + wait)

    def _watch_for_hang(self) -> None:
        """Ranks that were asked to leave have the grace as their bound; those that were killed cannot hang."""
        leaving = self._stop is not None or self._kill_at < float("inf")
        if self._hang is not None or (leaving and not self._watch.suspects):
            return
        self._hang = self._watch.look(self._ranks.items())
        if self._hang is not None:
            self._abandon_at = time.monotonic() + _ABANDON_SECONDS
            self._kill_everything()

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        if now >= self._stop_deadline:
            self._kill_overdue()
        if now >= self._kill_at and (self._hang is not None or not self._watch.suspects):
            self._kill_ranks()
        if len(self._ranks) == len(self._launch.ranks) and not any(r.alive() for r in self._ranks.values()):
            self._let_agent_report(now)

    def _let_agent_report(self, now: float) -> None:
        """After a failure the agent only has to write; after a success it may wait for the other nodes."""
        self._ranks_gone_at = self._ranks_gone_at or now
        outcomes = [self._dir.read_outcome(str(rank)) for rank in self._ranks]
        succeeded = all(o is not None and o.outcome is Outcome.SUCCEEDED for o in outcomes)
        if (not succeeded or self._stop is not None) and now > self._ranks_gone_at + _AGENT_SECONDS:
            self._agent.kill()

    def _kill_ranks(self) -> None:
        for rank in self._ranks.values():
            rank.kill()
        if self._prepare is not None:
            self._prepare.kill()

    def _kill_everything(self) -> None:
        self._kill_ranks()
        self._agent.kill()
