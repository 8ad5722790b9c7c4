"""Counts the calls that each client makes, as the API server's own audit log has them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "None", "users": ["admin"]}, {"level": "Metadata"}],
}
"""Every call but those of the benchmark itself, without bodies."""


def audit_flags(directory: Path) -> list[str]:
    """Write the policy and return the API server's flags; raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    policy = directory / "audit-policy.json"
    policy.write_text(json.dumps(POLICY), encoding="utf-8")
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log_of(directory)}"]


def log_of(directory: Path) -> Path:
    """Where the API server writes the calls."""
    return directory / "audit.log"


def calls_of(lines: Iterable[str], users: Sequence[str]) -> Counter[str]:
    """Count the calls of these users by verb and what they are about: `create pods`, `update finetunejobs/status`."""
    counts: Counter[str] = Counter()
    for line in lines:
        entry = json.loads(line)
        if entry["user"].get("username") in users:
            about = entry.get("objectRef") or {}
            what = "/".join(filter(None, (about.get("resource", "-"), about.get("subresource"))))
            counts[f"{entry['verb']} {what}"] += 1
    return counts
