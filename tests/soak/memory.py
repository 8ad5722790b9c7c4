"""What a soak leaves in its directory: which jobs are done, so that it can go on, and what happened to each."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from soak.happenings import Body, Happening


@dataclass
class Memory:
    """The directory of one seed."""

    directory: Path
    done: set[str]

    @classmethod
    def of(cls, directory: Path, seed: int, jobs: int) -> Self:
        """Go on with a soak that was interrupted, or begin one; another one's remains are removed."""
        about = {"seed": seed, "jobs": jobs}
        file = directory / "soak.json"
        if not file.exists() or json.loads(file.read_text(encoding="utf-8")) != about:
            shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(directory / "cluster", ignore_errors=True)  # jobs that are not done begin anew
        for log in directory.glob("*.log"):
            log.unlink()
        directory.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(about), encoding="utf-8")
        names = directory / "done.txt"
        return cls(directory, set(names.read_text(encoding="utf-8").split()) if names.exists() else set())

    def note_done(self, name: str) -> None:
        """A job's story was played to its end."""
        self.done.add(name)
        with (self.directory / "done.txt").open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")

    def finish(self) -> None:
        """The soak is over: the next one of this seed begins anew."""
        (self.directory / "soak.json").unlink(missing_ok=True)


class Chronicle:
    """Everything that was seen, a line each, also on disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._lines: dict[str, list[str]] = {}

    def note(self, job: str, one: Happening) -> None:
        """Note what happened to a job."""
        line = f"{one.at:7} {_change(one):8} {one.kind} {one.name}: {_summary(one)}"
        self._file.write(f"{job} {line}\n")
        self._lines.setdefault(job, []).append(line)

    def of(self, job: str) -> str:
        """Return all that happened to a job, in order."""
        return "\n".join(self._lines.get(job, []))

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def _change(one: Happening) -> str:
    return "gone" if one.gone else "created" if one.created else "changed"


def _summary(one: Happening) -> str:
    match one.kind:
        case "Pod":
            return _pod(one.body)
        case "FinetuneJob":
            return _job(one.body)
        case "Event":
            return f"{one.body.get('reason')}: {str(one.body.get('message'))[:160]}"
    return ""


def _pod(body: Body) -> str:
    status = body.get("status", {})
    ends = [c["state"]["terminated"] for c in status.get("containerStatuses") or [] if "terminated" in c["state"]]
    said = "; ".join(f"exit {end['exitCode']} {end['reason']} {end.get('message', '')[:120]}" for end in ends)
    leaving = " leaving" if "deletionTimestamp" in body["metadata"] else ""
    return f"{status.get('phase')}{leaving} on {body['spec'].get('nodeName')} {status.get('reason', '')} {said}"


def _job(body: Body) -> str:
    status = body.get("status") or {}
    attempts = [_attempt(one) for one in status.get("attempts") or []]
    conditions = [f"{one['type']}={one['status']}/{one['reason']}" for one in status.get("conditions") or []]
    policy = body["spec"].get("runPolicy", {})
    asked = f"nodes {body['spec'].get('nodes')} maxRestarts {policy.get('maxRestarts')} suspend {policy.get('suspend')}"
    return f"{asked} | restarts {status.get('restarts', 0)} | {' '.join(attempts[-3:])} | {' '.join(conditions)}"


def _attempt(one: Body) -> str:
    ran = "" if one.get("runningTime") else " not yet running"
    return f"[{one['number']}: {one.get('outcome', 'open')} {one.get('reason', '')}{ran}]"
