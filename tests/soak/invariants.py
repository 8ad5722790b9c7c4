"""What must hold at every revision of the store, whatever happens; each rule a generator of what breaks it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from finetune_api.names import JOB_UID_LABEL
from soak.happenings import Happening
from soak.scene import Job, Pod, Scene


@dataclass(frozen=True)
class Breach:
    """An invariant that does not hold."""

    rule: str
    job: str
    what: str
    at: int = 0

    def __str__(self) -> str:
        return f"{self.rule}: {self.job}: {self.what} (revision {self.at})"


@dataclass
class Checker:
    """Holds every happening against the rules, with what was there before it."""

    scene: Scene = field(default_factory=Scene)
    taken: set[str] = field(default_factory=set)
    """Uids of pods that somebody else than the operator took away, noted before he does."""
    most_restarts: dict[str, int] = field(default_factory=dict)
    """By uid of a job, the largest `maxRestarts` it ever had."""
    made: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How often each child of a job was created: uid of the job, kind and name."""
    told: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How often each transition of a job was told of in Events."""
    checks: Counter[str] = field(default_factory=Counter)
    children: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)
    """What exists of jobs besides themselves: by kind and name, its job, kind and name."""

    def take(self, one: Happening) -> list[Breach]:
        """Move on by one happening and return what it breaks."""
        found = [
            Breach(rule.__name__, job_of(one, self.scene), what, one.at)
            for rule in RULES.get(one.kind, ())
            for what in rule(self, one)
        ]
        self.checks[one.kind] += len(RULES.get(one.kind, ()))
        self._note_child(one)
        self.scene.take(one)
        return found

    def _note_child(self, one: Happening) -> None:
        if one.gone:
            self.children.pop((one.kind, one.name), None)
        elif JOB_UID_LABEL in (one.body["metadata"].get("labels") or {}):
            self.children[one.kind, one.name] = job_of(one, self.scene), one.kind, one.name


Rule = Callable[[Checker, Happening], Iterator[str]]


def attempts_do_not_overlap(checker: Checker, one: Happening) -> Iterator[str]:
    """A pod is created when nothing of another attempt may run, but on a node that was lost."""
    if not one.created:
        return
    new = Pod(one.body)
    for pod in checker.scene.of_job(new.job_uid):
        if pod.attempt != new.attempt and not pod.over and not pod.lost:
            yield f"{new.name} was created while {pod.name} was {pod.phase} on {pod.node}"


def status_comes_first(checker: Checker, one: Happening) -> Iterator[str]:
    """A pod is created only for an attempt that the status tells of, and still leaves open."""
    job, new = _owner(checker, one), Pod(one.body)
    if not one.created or job is None or new.attempt is None:
        return
    told = job.attempt(new.attempt)
    if told is None or told.get("outcome"):
        yield f"{new.name} was created while the status told {told} of its attempt"


def ends_are_recorded_first(checker: Checker, one: Happening) -> Iterator[str]:
    """No pod is asked to go before the status tells why its attempt is over, or being ended."""
    pod, job = Pod(one.body), _owner(checker, one)
    known = checker.scene.pods.get(pod.uid)
    first = known is not None and not known.leaving and (pod.leaving or one.gone)
    if not first or pod.uid in checker.taken or job is None or job.deleting or job.over:
        return
    if pod.disrupted:
        return
    if known is not None and _cleared(checker.scene, one, known):
        return
    if pod.attempt is not None:
        told = job.attempt(pod.attempt)
        if told is not None and not (told.get("outcome") or told.get("reason")):
            yield f"{pod.name} was asked to go before the end of its attempt was recorded"
    elif job.condition("DatasetPrepared").get("reason") in (None, "Preparing") and not job.condition("Suspended"):
        yield f"{pod.name} was asked to go before its end was recorded"


def children_are_made_once(checker: Checker, one: Happening) -> Iterator[str]:
    """Each child is created once for a job, each pod once for an attempt that has run."""
    labels = one.body["metadata"].get("labels") or {}
    uid = labels.get(JOB_UID_LABEL)
    if not one.created or uid is None or (one.kind == "Pod" and Pod(one.body).attempt is None):
        return
    if one.kind == "Pod" and _begins_anew(checker, Pod(one.body)):
        return
    key = uid, one.kind, one.name
    checker.made[key] += 1
    if checker.made[key] > 1:
        yield f"{one.kind} {one.name} was created {checker.made[key]} times"


def nothing_follows_the_end(checker: Checker, one: Happening) -> Iterator[str]:
    """No pod is created for a job that is over."""
    job = _owner(checker, one)
    if one.created and job is not None and job.over:
        yield f"{one.name} was created after the job was {job.over}"


def suspended_jobs_hold_no_pods(checker: Checker, one: Happening) -> Iterator[str]:
    """No pod is created for a job that is suspended."""
    job = _owner(checker, one)
    if one.created and job is not None and job.holds("Suspended"):
        yield f"{one.name} was created for a suspended job"


def suspending_empties(checker: Checker, one: Happening) -> Iterator[str]:
    """A job is said to be suspended when none of its pods exists any more, but what has to leave a lost node."""
    job, before = Job(one.body), checker.scene.jobs.get(one.body["metadata"]["uid"])
    if job.holds("Suspended") and not (before and before.holds("Suspended")):
        left = [pod.name for pod in checker.scene.of_job(job.uid) if not (pod.lost and pod.leaving)]
        if left:
            yield f"it is said to be suspended and holds {', '.join(left)}"


def terminal_is_terminal(checker: Checker, one: Happening) -> Iterator[str]:
    """The conditions of a job that is over, its counters and its attempts never change again."""
    job, before = Job(one.body), checker.scene.jobs.get(one.body["metadata"]["uid"])
    if before is None or before.over is None or one.gone:
        return
    for part in ("conditions", "restarts", "attempts", "completionTime", "failure"):
        if before.status.get(part) != job.status.get(part):
            yield f"{part} changed after its end: {before.status.get(part)} became {job.status.get(part)}"


def restarts_are_bounded(checker: Checker, one: Happening) -> Iterator[str]:
    """Restarts never decrease, grow by one, and never exceed what was allowed."""
    job, before = Job(one.body), checker.scene.jobs.get(one.body["metadata"]["uid"])
    allowed = job.body["spec"].get("runPolicy", {}).get("maxRestarts", 3)
    most = max(allowed, checker.most_restarts.get(job.uid, 0))
    checker.most_restarts[job.uid] = most
    now, then = job.status.get("restarts", 0), before.status.get("restarts", 0) if before else 0
    if not then <= now <= then + 1:
        yield f"restarts went from {then} to {now}"
    if now > most:
        yield f"restarts are {now}, of {most} allowed"


def attempts_are_a_history(checker: Checker, one: Happening) -> Iterator[str]:
    """Numbers of attempts strictly increase, and what was recorded of an ended one stays."""
    job, before = Job(one.body), checker.scene.jobs.get(one.body["metadata"]["uid"])
    numbers = [attempt["number"] for attempt in job.attempts]
    if numbers != sorted(set(numbers)):
        yield f"its attempts are numbered {numbers}"
    for attempt in job.attempts[:-1]:
        if not attempt.get("outcome"):
            yield f"attempt {attempt['number']} is open, though another follows it"
    for known in before.attempts if before else ():
        told = job.attempt(known["number"])
        if told is None and numbers and known["number"] > numbers[0]:
            yield f"attempt {known['number']} is told of no more"
        if told is not None and known.get("outcome") not in (None, told.get("outcome")):
            yield f"attempt {known['number']} was {known['outcome']} and became {told.get('outcome')}"


def events_are_not_repeated(checker: Checker, one: Happening) -> Iterator[str]:
    """The begin and the end of an attempt, and the end of a job, are told once."""
    about, reason = one.body.get("involvedObject") or {}, str(one.body.get("reason"))
    if about.get("kind") != "FinetuneJob" or one.gone:
        return
    told = str(one.body.get("message"))
    if reason in ("AttemptStarted", "AttemptEnded"):
        told = " ".join(told.split()[:2])
    elif reason not in _ENDS:
        return
    if one.created:
        checker.told[about["uid"], reason, told] += 1
    count = max(checker.told[about["uid"], reason, told], (one.body.get("series") or {}).get("count", 1))
    if count > 1:
        yield f"{reason} ({told}) was told {count} times"


_ENDS = ("Succeeded", "AlreadyComplete", "RestartsExhausted", "NoProgress", "DeadlineExceeded", "ConfigInvalid",
         "DatasetInvalid", "PreprocessingFailed", "ModelUnavailable", "Diverged", "PreparationDisrupted")  # fmt: skip

RULES: dict[str, tuple[Rule, ...]] = defaultdict(
    tuple,
    {
        "Pod": (
            attempts_do_not_overlap,
            status_comes_first,
            ends_are_recorded_first,
            children_are_made_once,
            nothing_follows_the_end,
            suspended_jobs_hold_no_pods,
        ),
        "FinetuneJob": (suspending_empties, terminal_is_terminal, restarts_are_bounded, attempts_are_a_history),
        "Event": (events_are_not_repeated,),
        "Service": (children_are_made_once,),
        "ConfigMap": (children_are_made_once,),
        "NetworkPolicy": (children_are_made_once,),
    },
)


def _cleared(scene: Scene, one: Happening, known: Pod) -> bool:
    """The cluster itself takes what was on a node that is no more.

    It does so by name, so that it hits the next pod that prepares, which has the name too, if it comes to it late.
    """
    misled = known.attempt is None and known.name in scene.lost_names and not known.lost
    return misled or (one.gone and known.node in scene.down)


def _begins_anew(checker: Checker, pod: Pod) -> bool:
    """An attempt that never ran whole gets again what was lost of it, if nobody saw that go."""
    told = checker.scene.attempt_of(pod)
    return pod.name in checker.scene.lost_names and told is not None and not told.get("runningTime")


def _owner(checker: Checker, one: Happening) -> Job | None:
    uid = (one.body["metadata"].get("labels") or {}).get(JOB_UID_LABEL)
    return checker.scene.jobs.get(uid) if uid else None


def job_of(one: Happening, scene: Scene) -> str:
    """Return the name of the job that something happens to or about."""
    if one.kind == "FinetuneJob":
        return one.name
    if one.kind == "Event":
        return str((one.body.get("involvedObject") or {}).get("name"))
    uid = (one.body["metadata"].get("labels") or {}).get(JOB_UID_LABEL, "")
    return scene.jobs[uid].name if uid in scene.jobs else one.name
