"""How the nodes of one attempt learn where the prepared data lies."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.data.prepared import PreparedData, load_prepared
from finetune_trainer.launcher.arguments import NodeLaunch
from finetune_trainer.run_dir import Prepared, RunDir, read_prepared, write_atomically

ANNOUNCEMENT = "prepared.json"

SETTLING_SECONDS = 30.0
"""How long a volume of another machine may take to show what was written to it before this attempt."""
_POLL_SECONDS = 0.2


def announce(output: Path, prepared: Prepared, *, job_uid: str, attempt: int | None = None) -> None:
    """Tell the pods that share the output; `attempt` None: prepared once, for all attempts of the job."""
    record = {"directory": str(prepared.directory), "sha256": prepared.sha256, "attempt": attempt, "jobUid": job_uid}
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / ANNOUNCEMENT, json.dumps(record))


def read_announced(output: Path) -> PreparedData | None:
    """Return the data that an announcement names, or None when it is not there any more."""
    prepared = read_prepared(output / ANNOUNCEMENT)
    try:
        return load_prepared(prepared.directory) if prepared else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def withdraw_stale(launch: NodeLaunch) -> None:
    """Remove the announcement of an earlier attempt, so that nobody can mistake it for this one's."""
    if not _is_of(launch, launch.output / ANNOUNCEMENT):
        (launch.output / ANNOUNCEMENT).unlink(missing_ok=True)


def receive(launch: NodeLaunch, run_dir: RunDir) -> bool:
    """Pass an announcement on to this node's ranks; False when there is none of this attempt yet.

    With `--prepare done` the data was prepared before the attempt, and `require_prepared` has judged the announcement.
    """
    path = launch.output / ANNOUNCEMENT
    if launch.prepare != "done" and not _is_of(launch, path):
        return False
    prepared = read_prepared(path)
    if prepared is None:
        return False
    run_dir.write_prepared(prepared.directory, prepared.sha256)
    return True


def require_prepared(launch: NodeLaunch, *, stopped: Callable[[], bool], seconds: float = SETTLING_SECONDS) -> None:
    """Return when the data that was prepared before this attempt is there, or when `stopped()` became true.

    Raises Retryable when it is not, ConfigInvalid when it is another job's; nobody would ever announce it.
    """
    deadline = time.monotonic() + seconds
    while not stopped():
        try:
            return _check_prepared(launch)
        except (ConfigInvalid, Retryable):
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _check_prepared(launch: NodeLaunch) -> None:
    path = launch.output / ANNOUNCEMENT
    prepared, owner = read_prepared(path), _record(path).get("jobUid")
    hint = "Is the output volume the one that the data was prepared on? Create a new job to prepare it again."
    if prepared is None:
        raise Retryable(f"{path} is missing, which tells where the prepared data of this job lies", hint=hint)
    if owner not in (None, launch.job_uid):
        raise ConfigInvalid(
            f"output: {path} speaks of the data of another job (uid {owner})",
            hint="Give each job an output, or a subPath of the volume, of its own.",
        )
    if read_announced(launch.output) is None:
        raise Retryable(f"{path} names {prepared.directory}, and no prepared data is there", hint=hint)


def _is_of(launch: NodeLaunch, path: Path) -> bool:
    record = _record(path)
    return (record.get("attempt"), record.get("jobUid")) == (launch.attempt, launch.job_uid)


def _record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
