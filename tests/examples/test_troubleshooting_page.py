"""The page that says what to do knows every reason for which somebody has to do something."""

import re

import pytest

from finetune_api.outcomes import ENDINGS
from finetune_api.reasons import REASONS, Reason
from finetune_operator.attempts import REASONS_OF_ENDS, TABLE
from support.shell import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
BY_REASON = PAGE.partition("\n## By condition reason\n")[2]
UNEASY = {"Queued", "Retrying", "PreparationFailed", "ProgressUnreachable", "Restarting"}
"""Reasons that are no warnings, and yet make people ask."""


def _asks_for_help(reason: Reason) -> bool:
    return (reason.condition is not None and reason.warning) or reason.name in UNEASY


ASKING = sorted({str(reason.name) for reason in REASONS if _asks_for_help(reason)})


def test_the_table_of_exit_codes_is_the_table_in_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", PAGE, re.MULTILINE)
    assert sorted((int(code), outcome) for code, outcome in rows) == sorted(
        (ending.exit_code, ending.outcome.value) for ending in ENDINGS
    )


@pytest.mark.parametrize("reason", ASKING)
def test_every_failure_wait_and_stall_says_what_to_do(reason: str) -> None:
    row = re.search(rf"^\| `{reason}` \| .+ \| (.+) \|$", BY_REASON, re.MULTILINE)
    assert row, f"docs/troubleshooting.md does not say what to do about {reason}"
    assert len(row[1].split()) > 3


def test_the_page_names_no_reason_that_there_is_not() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", BY_REASON, re.MULTILINE)) <= {str(reason.name) for reason in REASONS}


def test_the_table_of_ends_is_the_table_in_the_code() -> None:
    section = PAGE.partition("\n## How attempts end\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| .+ \|$", section, re.MULTILINE)
    judged = {row.reason: row.outcome.value for row in TABLE if row.reason}
    assert judged.items() <= dict(rows).items()
    assert {reason for reason, _ in rows} == REASONS_OF_ENDS
