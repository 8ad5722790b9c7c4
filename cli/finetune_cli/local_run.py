"""From a checked configuration to a finished run on this machine."""

import json
import os
import selectors
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from torchx.specs import Resource

from finetune_api.outcomes import TerminationMessage
from finetune_cli.attempts import Attempt
from finetune_cli.display import Display
from finetune_cli.follow import Tail, parse_event
from finetune_cli.inputs import LocalInput, cache_directory
from finetune_cli.local_app import LocalApp
from finetune_cli.machine import free_port
from finetune_cli.nodes import Nodes
from finetune_cli.verdict import verdict
from finetune_operator.launch import NODE_RANK, LaunchPlan, build_app
from finetune_trainer.launcher.devices import available_cpus
from finetune_trainer.launcher.parent_death import PARENT_PID
from finetune_trainer.launcher.signals import REQUESTS, SignalInbox

_PULSE_SECONDS = 0.1

_SAVING = "asked to save and leave; once more to kill at once"
_KILLING = "killing"


@dataclass(frozen=True)
class Shape:
    """How many processes run, and how they are treated."""

    nodes: int
    processes: int
    """On each node."""
    gpus: int
    """Of one node."""
    grace: float
    progress_port: int | None
    launcher_arguments: tuple[str, ...] = ()
    """Passed on to every launcher as they are."""


def plan_launch(given: LocalInput, attempt: Attempt, shape: Shape) -> LaunchPlan:
    """Describe the launch of an attempt whose nodes are all on this machine."""
    return LaunchPlan(
        name="finetune",
        config=str(attempt.directory / "config.json"),
        output=str(attempt.output),
        run_dir=str(attempt.run_dir(NODE_RANK)),
        cache=str(cache_directory()),
        master_addr="127.0.0.1",
        master_port=free_port(),
        job_uid=attempt.job_uid,
        nodes=shape.nodes,
        processes_per_node=shape.processes,
        attempt=attempt.number,
        resume_from=given.job.spec.output.resume_from if given.job else None,
        code=str(given.code_dir),
        grace=shape.grace,
        preflight=given.job.spec.run_policy.preflight if given.job else None,
        step_timeout=given.job.spec.run_policy.step_timeout_seconds if given.job else None,
        progress_port=shape.progress_port,
        resource=Resource(cpu=-1, gpu=shape.gpus, memMB=-1),
        environment=_environment(given, shape),
        extra_arguments=shape.launcher_arguments,
    )


def run_attempt(given: LocalInput, attempt: Attempt, plan: LaunchPlan, display: Display) -> TerminationMessage:
    """Run an attempt to its end, whatever it is; signals ask its ranks to save and leave."""
    if given.ignored:
        display.note(f"ignored keys: {', '.join(given.ignored)}")
    Path(plan.config).write_text(json.dumps(given.config.resolved(), indent=2), encoding="utf-8")
    nodes = Nodes([attempt.run_dir(node) for node in range(plan.nodes)], plan.grace)
    with ExitStack() as stack:
        with _signals_held():
            app = LocalApp(build_app(plan), attempt.directory / "torchx")
            inbox = stack.enter_context(SignalInbox())
        stack.callback(app.close)
        app.start()
        stack.callback(nodes.kill)
        _watch(app, nodes, inbox, _Follower(app, attempt, plan.nodes, display), display)
    return verdict(nodes.ends(), nodes.stop)


def _watch(app: LocalApp, nodes: Nodes, inbox: SignalInbox, follower: "_Follower", display: Display) -> None:
    with selectors.DefaultSelector() as selector:
        inbox.register(selector)
        while app.running():
            selector.select(_PULSE_SECONDS)
            for number in inbox.take():
                display.note(_KILLING if nodes.stop else _SAVING)
                nodes.ask_to_leave(number)
            nodes.tend()
            follower.follow()
    follower.finish()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Requests to leave wait until this is over; nothing may be started meanwhile, or it would inherit that."""
    signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)


class _Follower:
    """Passes node 0's progress and every node's log lines on to the display."""

    def __init__(self, app: LocalApp, attempt: Attempt, nodes: int, display: Display) -> None:
        self._display = display
        self._progress = Tail(attempt.run_dir(0) / "progress.jsonl")
        self._logs = [Tail(app.log(node)) for node in range(nodes)]

    def follow(self) -> None:
        for log in self._logs:
            self._show(log.lines())
        for event in map(parse_event, self._progress.lines()):
            if event is not None:
                self._display.event(event)

    def finish(self) -> None:
        self.follow()
        for log in self._logs:
            self._show(log.last())

    def _show(self, lines: list[str]) -> None:
        for line in lines:
            self._display.log(line)


def _environment(given: LocalInput, shape: Shape) -> dict[str, str]:
    """What the launchers get beyond this process's environment."""
    environment = {PARENT_PID: str(os.getpid())}
    if "OMP_NUM_THREADS" not in os.environ:
        environment["OMP_NUM_THREADS"] = str(max(1, available_cpus() // (shape.nodes * shape.processes)))
    if given.job is not None:
        spec = given.job.spec
        environment |= {entry.name: entry.value for entry in spec.networking.env}
        environment |= {e.name: e.value for e in spec.pod_template.env if e.value is not None}
    return environment
