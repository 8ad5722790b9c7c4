"""How the nodes of one attempt learn where the data that node 0 prepared lies."""

import json
from pathlib import Path

from finetune_trainer.launcher.arguments import NodeLaunch
from finetune_trainer.run_dir import Prepared, RunDir, read_prepared, write_atomically

ANNOUNCEMENT = "prepared.json"


def announce(launch: NodeLaunch, prepared: Prepared) -> None:
    """Tell the other nodes, over the output they share, under this attempt's name."""
    record = {
        "directory": str(prepared.directory),
        "sha256": prepared.sha256,
        "attempt": launch.attempt,
        "jobUid": launch.job_uid,
    }
    launch.output.mkdir(parents=True, exist_ok=True)
    write_atomically(launch.output / ANNOUNCEMENT, json.dumps(record))


def withdraw_stale(launch: NodeLaunch) -> None:
    """Remove the announcement of an earlier attempt, so that nobody can mistake it for this one's."""
    if not _is_of(launch, launch.output / ANNOUNCEMENT):
        (launch.output / ANNOUNCEMENT).unlink(missing_ok=True)


def receive(launch: NodeLaunch, run_dir: RunDir) -> bool:
    """Pass an announcement on to this node's ranks; False when there is none of this attempt yet.

    With `--prepare done` the data was prepared before the attempt, so any announcement counts.
    """
    path = launch.output / ANNOUNCEMENT
    if launch.prepare != "done" and not _is_of(launch, path):
        return False
    prepared = read_prepared(path)
    if prepared is None:
        return False
    run_dir.write_prepared(prepared.directory, prepared.sha256)
    return True


def _is_of(launch: NodeLaunch, path: Path) -> bool:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (record.get("attempt"), record.get("jobUid")) == (launch.attempt, launch.job_uid)
