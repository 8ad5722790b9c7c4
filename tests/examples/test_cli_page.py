"""docs/cli.md names the commands, options and exit codes that there are."""

import re

import pytest
from typer.main import get_command

from finetune_api.outcomes import Outcome, exit_code
from finetune_cli.app import app
from finetune_cli.cluster.conclusion import NO_ANSWER, TIMED_OUT
from support.shell import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
IN_A_CLUSTER = ("status", "logs", "wait")


def _options(command: str) -> set[str]:
    return {option for parameter in COMMANDS[command].params for option in parameter.opts if option.startswith("-")}


def _section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_table_has_every_command() -> None:
    assert re.findall(r"^\| `(\w+) ", PAGE, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", IN_A_CLUSTER)
def test_every_option_of_a_command_about_clusters_is_explained(command: str) -> None:
    text = _section(f"`{command}`") + _section("Which cluster")
    assert {option for option in _options(command) if not re.search(rf"(?<![\w-]){option}\b", text)} == set()


def test_every_option_that_is_named_exists() -> None:
    known = {option for command in COMMANDS for option in _options(command)} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", PAGE)) <= known


def test_exit_codes_are_those_of_the_code() -> None:
    codes = re.findall(r"^\| (\d+) \|", _section("Exit codes"), re.MULTILINE)
    assert [int(code) for code in codes] == [0, 2, NO_ANSWER, TIMED_OUT, exit_code(Outcome.INTERRUPTED)]
