"""Plays one case: waits for its moment, writes down what must be found, strikes, and looks at what came of it."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from cluster.kubectl import KubectlFailed
from faults import likeness
from faults.case import STRUCK_NODE, Case
from faults.jobs import struck, undisturbed
from faults.judge import complaints
from faults.record import Found, Record, Result, Target, expect
from faults.scene import Scene
from faults.site import CLAIM, Site, small_disk
from faults.strikes import STRIKES
from finetune_api.reasons import ConditionType, State
from finetune_api.status import AttemptStatus, JobStatus, condition_of
from support.history import Happening, watched

_TERMINAL: Final = (State.COMPLETE, State.FAILED)
_REFERENCE_SECONDS: Final = 180.0


def play(site: Site, case: Case, seed: int) -> Result:
    """Play a case and write its result."""
    with _scene(site, case, seed) as scene:
        record = _strike(scene)
        told = _until_told(scene)
        if told is not None:
            STRIKES[case.outside].then(scene)
        ended = scene.wait(lambda: _over(scene, told))
        scene.wait(lambda: time.time() > scene.struck_at + case.lingers)
        found = _found(scene, told)
        wrong = complaints(record, found)
        if not ended:
            wrong = (*wrong, f"not over {case.seconds:.0f} s after it began")
        result = Result(record, found, wrong, case.tolerance, runtime=_runtime(scene))
        if wrong or result.same is False:
            result = replace(result, story=site.space.story(scene.name))
    result.write(result_file(site, case.name))
    return result


def play_undisturbed(site: Site, case: Case) -> None:
    """Train without a fault what a case is compared with, unless it was done before."""
    reference = reference_folder(site, case)
    if reference.exists():
        return
    name = f"undisturbed-{case.shape.reference}"
    output = site.output(name)
    shape = replace(case.shape, spec={}, apart=False)
    site.space.apply(undisturbed(name, shape, CLAIM))
    site.space.until_state(name, "Complete", seconds=_REFERENCE_SECONDS)
    aside = reference.with_suffix(".new")
    shutil.copytree(output / "model", aside / "model", dirs_exist_ok=True)
    shutil.copy(output / "metrics.jsonl", aside)
    aside.rename(reference)
    _remove(site, name, output)


def result_file(site: Site, name: str) -> Path:
    """Return where a result is kept."""
    return site.state / f"{name}.json"


def reference_folder(site: Site, case: Case) -> Path:
    """Return where the weights are kept with which a case's are compared."""
    return site.state / f"undisturbed-{case.shape.reference}"


@contextlib.contextmanager
def _scene(site: Site, case: Case, seed: int) -> Iterator[Scene]:
    claim = CLAIM
    if case.outside == "fill_disk":
        claim = f"{CLAIM}-{case.name}"
        small_disk(site.claim(claim))
    output = site.output(case.name, claim)
    job = struck(case, case.name, claim, seed)
    with watched(site.cluster.kubeconfig, site.space.namespace) as history:
        scene = Scene(site, case, seed, case.name, job, output, history, time.time() + case.seconds, claim)
        try:
            yield scene
        finally:
            STRIKES[case.outside].heal(scene)
            _remove(site, case.name, output)


def _remove(site: Site, name: str, output: Path) -> None:
    with contextlib.suppress(KubectlFailed):  # a pod of a dead node may stay; nothing depends on it
        site.space.kubectl("delete", "finetunejob", name, "--cascade=foreground", "--timeout=60s", "--ignore-not-found")
    shutil.rmtree(output, ignore_errors=True)


def _strike(scene: Scene) -> Record:
    """Wait for the moment, write down the truth, strike; returns what was written."""
    early = scene.case.when.point == "starting"
    if not early:
        scene.apply()
        scene.wait(lambda: _moment_has_come(scene) or _tells(scene.status()))
        assert _moment_has_come(scene), f"the moment never came\n{scene.site.space.story(scene.name)}"
    file = scene.site.state / f"{scene.name}.expected.json"
    expect(scene.case, scene.seed, _target(scene)).write(file)
    record = Record.read(file)
    scene.struck_at = time.time()
    STRIKES[scene.case.outside].hit(scene)
    scene.go()
    if early:
        scene.apply()
    return record


def _moment_has_come(scene: Scene) -> bool:
    match scene.case.when.point:
        case "complete":
            return scene.status().state is State.COMPLETE
        case "preparing":
            pod = scene.pod_body(f"{scene.name}-prepare")
            return pod is not None and pod["status"].get("phase") == "Running"
        case _:
            return scene.reached() is not None


def _target(scene: Scene) -> Target:
    """Whoever is struck, as it is placed at this moment."""
    if scene.case.when.point == "starting":
        return Target(scene.rank, 0, "", STRUCK_NODE)
    name = f"{scene.name}-prepare" if scene.case.when.point == "preparing" else scene.pod()
    body = scene.pod_body(name)
    node = STRUCK_NODE if scene.case.truth.victim == "node" else (body["spec"].get("nodeName", "") if body else "")
    reached = scene.reached()
    return Target(scene.rank, reached["step"] if reached else 0, name, node)


def _until_told(scene: Scene) -> Happening | None:
    """Wait until the outcome of the struck attempt, or the end of the job, is told."""
    found: list[Happening] = []

    def told() -> bool:
        found.extend(one for one, status in scene.bodies() if not found and _tells(status))
        return bool(found)

    return found[0] if scene.wait(told) else None


def _tells(status: JobStatus) -> bool:
    ended = any(attempt.outcome is not None for attempt in status.attempts[:1])
    return ended or status.state in _TERMINAL


def _over(scene: Scene, told: Happening | None) -> bool:
    return told is not None and scene.status().state in _TERMINAL


def _found(scene: Scene, told: Happening | None) -> Found:
    last = scene.status()
    ending = condition_of(last.conditions, ConditionType(last.state)) if last.state in _TERMINAL else None
    found = Found(
        restarts=last.restarts,
        state=str(last.state or ""),
        ending=ending.reason if ending else "",
        attempts=tuple(map(_in_short, last.attempts)),
    )
    if last.state is State.COMPLETE:
        reference = reference_folder(scene.site, scene.case)
        found = replace(found, difference=likeness.difference(scene.output, reference))
    if told is None:
        return found
    found = _cause(found, JobStatus.of(told.body), told.seen - scene.struck_at)
    lost, recovered = _losses(scene, last)
    return replace(found, lost=lost, recovered=recovered, ran=_ran(scene, told))


def _in_short(attempt: AttemptStatus) -> str:
    steps = f"steps {attempt.first_step} to {attempt.last_step}"
    return f"{attempt.number}: {attempt.outcome}/{attempt.reason} on {attempt.nodes}, {steps}"


def _cause(found: Found, status: JobStatus, detected: float) -> Found:
    """Take over how the cause was named when it was first told."""
    attempt = next(iter(status.attempts), None)
    failure = status.failure
    words = [attempt and attempt.message, failure and failure.message, failure and failure.traceback]
    found = replace(
        found,
        outcome=str(attempt.outcome) if attempt and attempt.outcome else None,
        reason=(attempt.reason if attempt else "") or "",
        text="\n".join(word for word in words if word),
        detected=detected,
    )
    if failure is None:
        return found
    if found.outcome is None:
        found = replace(found, reason=failure.reason)
    return replace(found, rank=failure.rank, pod=failure.pod, node=failure.node, exit_code=failure.exit_code)


def _ran(scene: Scene, told: Happening) -> float | None:
    """Return for how long all pods of an attempt that was struck before they ran had done so when its end was told."""
    if scene.case.when.point != "starting":
        return None
    seen: dict[str, float] = {}
    for one in scene.history.pods_of_attempt(0):
        if one.body["status"].get("phase") == "Running":
            seen.setdefault(one.body["metadata"]["name"], one.seen)
    return told.seen - max(seen.values()) if seen else None


def _losses(scene: Scene, last: JobStatus) -> tuple[int, float | None]:
    """Return how many steps were done and are gone or done again, and when the first new one was done."""
    before = [one for one in scene.metrics if one.at <= scene.struck_at]
    file = before[-1].file if before else 0
    done = max((one.step for one in scene.metrics if one.file == file), default=0)
    after = [one for one in scene.metrics if one.file != file]
    if not after:
        return done - scene.saved_step() if last.state is State.FAILED else 0, None
    trained = [one for one in last.attempts[1:] if one.running_time is not None][:1]
    told = [one.first_step for one in trained if one.first_step is not None]
    base = min([*told, *(one.step for one in after)])  # a first step may have been done before the file was looked at
    first = next((one.at for one in after if one.step > base), None)
    return max(0, done - base), None if first is None else first - scene.struck_at


def _runtime(scene: Scene) -> dict[str, str]:
    """Return where the job's pods ran, and with what."""
    bodies = [one.body for one in scene.history.happenings if one.body["kind"] == "Pod"]
    own = {body["spec"].get("nodeName", "") for body in bodies if body["metadata"]["name"].startswith(f"{scene.name}-")}
    return {node: runtime for node, runtime in scene.site.runtimes().items() if node in own}
