"""Log lines: one JSON object each for machines, or text for people; never whole objects."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal

Format = Literal["json", "text"]

_FACTS: Final = ("job", "attempt", "rank", "key", "failures", "state", "lease")
"""What may be added to a line."""


class JsonFormatter(logging.Formatter):
    """Writes a line as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Writes a line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = "".join(f" {name}={value}" for name, value in _facts(record).items())
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        line = f"{clock} {record.levelname.lower():<7} {record.getMessage()}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(kind: Format) -> None:
    """Write our own lines of level info and everybody's warnings to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if kind == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("finetune_operator").setLevel(logging.INFO)
    # kopf repeats every lost connection and failed task with its traceback; what matters of it `watching` tells.
    logging.getLogger("kopf").setLevel(logging.CRITICAL)


def _facts(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in _FACTS if (value := getattr(record, name, None)) is not None}
