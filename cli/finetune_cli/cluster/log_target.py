"""Which logs of a job are meant, and which come next."""

from dataclasses import dataclass

from finetune_api.names import prepare_pod_name, training_pod_name
from finetune_api.reasons import ConditionType
from finetune_api.status import AttemptStatus, is_true
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.log_lines import line_of_rank, line_with_origin
from finetune_cli.cluster.session import NoAnswer


@dataclass(frozen=True)
class Choice:
    """What the user asked for."""

    rank: int | None = None
    node: int | None = None
    everything: bool = False
    prepare: bool = False
    attempt: int | None = None


@dataclass(frozen=True)
class Target:
    """The pods of one attempt, or the pod that prepares."""

    attempt: int | None
    """None: the pod that prepares."""
    nodes: tuple[int, ...] = (0,)
    rank: int | None = None
    """Only lines of this rank; None: all lines."""
    processes: int = 1
    """Ranks of each node."""
    marked: bool = False
    """Every line says whose it is."""

    def pod(self, job: str, node: int) -> str:
        """Name of the pod of a node."""
        return prepare_pod_name(job) if self.attempt is None else training_pod_name(job, self.attempt, node)

    def shown(self, node: int, text: str) -> str | None:
        """Return a line of a node's pod as it is shown, or None when it is not."""
        if self.rank is not None:
            return line_of_rank(text, self.rank, node * self.processes)
        return line_with_origin(text, node) if self.marked else text

    @property
    def shows_all_lines(self) -> bool:
        """Whether every line of its pods is shown."""
        return self.rank is None or self.processes == 1

    @property
    def title(self) -> str:
        """What is shown, for a line between two of them."""
        return "preparing the data" if self.attempt is None else f"attempt {self.attempt}"


@dataclass(frozen=True)
class Pending:
    """There is no such log yet."""

    sentence: str


class NoSuchLog(NoAnswer):
    """There is no such log, and there will be none."""


def first_target(job: JobView, choice: Choice) -> Target | Pending:
    """Return what to show first: the newest attempt that has begun, else the pod that prepares.

    Raises NoSuchLog for a rank, node or attempt that the job does not have.
    """
    if choice.prepare:
        return _prepare(job)
    if choice.attempt is not None:
        return _numbered(job, choice, choice.attempt)
    begun = _begun(job)
    if begun is not None:
        return _target(job, choice, begun.number, begun.nodes)
    _check_place(job, choice, job.nodes, "the job")
    if job.condition(ConditionType.DATASET_PREPARED) is not None and not _inline(job):
        return Target(None)
    if job.over:
        raise NoSuchLog(f"{job.name} is {job.state} and never had a pod: {job.sentence}")
    return _pending(job)


def next_target(job: JobView, choice: Choice, done: Target) -> Target | Pending | None:
    """Return what follows `done`: the next attempt; None when nothing does."""
    if choice.prepare or choice.attempt is not None:
        return None
    begun = _begun(job)
    if begun is not None and (done.attempt is None or begun.number > done.attempt):
        return _target(job, choice, begun.number, begun.nodes)
    return None if job.over else _pending(job)


def is_past(job: JobView | None, target: Target) -> bool:
    """Tell whether nothing more will come from the pods of `target`."""
    if job is None or job.over:
        return True
    if target.attempt is None:
        return bool(job.status.attempts) or is_true(job.status.conditions, ConditionType.DATASET_PREPARED)
    newer = [one for one in job.status.attempts if one.number > target.attempt]
    return bool(newer) or any(one.number == target.attempt and one.outcome for one in job.status.attempts)


def _prepare(job: JobView) -> Target | Pending:
    if _inline(job):
        raise NoSuchLog(f"rank 0 of {job.name} prepares the data itself; its log tells of that too")
    return _pending(job) if job.status.frozen is None and not job.over else Target(None)


def _numbered(job: JobView, choice: Choice, number: int) -> Target | Pending:
    known = {one.number: one for one in job.status.attempts}
    newest = max(known, default=-1)
    if number > newest and job.over:
        raise NoSuchLog(f"{job.name} is {job.state} and had {newest + 1 or 'no'} attempts, counted from 0")
    if number > newest or (number in known and known[number].start_time is None):
        return _pending(job)
    return _target(job, choice, number, known[number].nodes if number in known else job.nodes)


def _target(job: JobView, choice: Choice, number: int, nodes: int) -> Target:
    _check_place(job, choice, nodes, f"attempt {number}")
    if choice.everything:
        return Target(number, tuple(range(nodes)), None, job.processes, marked=True)
    if choice.node is not None:
        return Target(number, (choice.node,), None, job.processes)
    rank = choice.rank or 0
    return Target(number, (rank // job.processes,), rank, job.processes)


def _check_place(job: JobView, choice: Choice, nodes: int, what: str) -> None:
    ranks = nodes * job.processes
    if choice.rank is not None and choice.rank >= ranks:
        raise NoSuchLog(f"{what} has {ranks} rank{'s' if ranks > 1 else ''}, counted from 0")
    if choice.node is not None and choice.node >= nodes:
        raise NoSuchLog(f"{what} has {nodes} node{'s' if nodes > 1 else ''}, counted from 0")


def _begun(job: JobView) -> AttemptStatus | None:
    return next((one for one in reversed(job.status.attempts) if one.start_time is not None), None)


def _inline(job: JobView) -> bool:
    return job.status.frozen is not None and job.status.frozen.prepare_mode == "Inline"


def _pending(job: JobView) -> Pending:
    return Pending(f"{job.name} is {job.state}" + (f": {job.sentence}" if job.sentence else ""))
