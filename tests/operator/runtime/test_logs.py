"""Log lines for machines and for people."""

import json
import logging
import sys
from typing import Any

from finetune_operator.runtime.logs import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, **facts: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "finetune_operator.x", "levelno": 20, "levelname": "INFO", "msg": message, "args": arguments,
         "created": 1767268800.25, **facts}
    )  # fmt: skip


def failing() -> logging.LogRecord:
    try:
        raise ValueError("what is this")
    except ValueError:
        return record("unexpected", exc_info=sys.exc_info())


def test_a_line_for_machines_is_one_json_object_with_the_facts_that_are_known() -> None:
    line = json.loads(JsonFormatter().format(record("%d jobs", 3, job="team/a", attempt=0, rank=None, body={"a": 1})))
    assert line == {
        "time": "2026-01-01T12:00:00.250+00:00",
        "level": "info",
        "logger": "finetune_operator.x",
        "message": "3 jobs",
        "job": "team/a",
        "attempt": 0,
    }


def test_a_line_for_people_ends_with_the_facts() -> None:
    line = TextFormatter().format(record("status written", job="team/a", rank=1))
    assert line.endswith("info    status written job=team/a rank=1")


def test_a_traceback_stays_within_the_line_of_a_machine_and_follows_that_of_a_person() -> None:
    line = JsonFormatter().format(failing())
    assert "\n" not in line
    assert "ValueError: what is this" in json.loads(line)["traceback"]
    assert TextFormatter().format(failing()).splitlines()[-1] == "ValueError: what is this"
