"""Every command in the documentation runs.

A fenced block marked `console` holds commands after `$ `; `console slow` is run with the distributed tests, and
`console hub` needs a model hub, so only its files are checked. A block marked with a language and a path is a
file that the commands after it use. Commands of one page share a working directory, from top to bottom.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.shell import BIN, ROOT, run

PAGES = sorted(page for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md") for page in ROOT.glob(pattern))
FENCE = re.compile(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word after it, and its lines."""

    language: str
    word: str
    text: str

    @property
    def commands(self) -> list[str]:
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]


def _blocks(page: Path) -> list[Block]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(language, word, text) for language, word, text in found]


def _commands(kind: str) -> Iterator[str]:
    for page in PAGES:
        for block in _blocks(page):
            if block.language == "console" and block.word == kind:
                yield from block.commands


def _workspace(directory: Path) -> Path:
    """Return a directory that looks like the root of the repository and may be written to."""
    shutil.copytree(ROOT / "examples", directory / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs", directory / "docs")
    (directory / ".venv").symlink_to(BIN.parent)
    return directory


def _runs_here(command: str) -> bool:
    return not command.startswith("make ")  # checked by name below; running them is the work of make itself


def _play(page: Path, workspace: Path, kinds: set[str]) -> None:
    for block in _blocks(page):
        if block.language != "console" and block.word:
            file = workspace / block.word
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "console" and block.word in kinds:
            for command in filter(_runs_here, block.commands):
                done = run(command, cwd=workspace, cache=workspace / "cache", timeout=300)
                assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}"


def test_the_documentation_has_commands() -> None:
    assert any(command.startswith(".venv/bin/finetune run") for command in _commands("slow"))
    assert "make demo" in set(_commands(""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_quick_commands_run(page: Path, tmp_path: Path) -> None:
    if not any(block.language == "console" and block.word == "" for block in _blocks(page)):
        return
    _play(page, _workspace(tmp_path), {""})


@pytest.mark.distributed
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_all_commands_run_in_their_order(page: Path, tmp_path: Path) -> None:
    if not any(block.word == "slow" for block in _blocks(page)):
        return
    _play(page, _workspace(tmp_path), {"", "slow"})


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_every_make_target_that_is_named_exists() -> None:
    targets = sorted({command.split()[1] for command in _commands("") if command.startswith("make ")})
    assert targets
    for target in targets:
        tried = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=False)
        assert tried.returncode == 0, f"make {target}: {tried.stderr.decode()}"


def test_commands_that_need_a_hub_name_files_that_exist() -> None:
    for command in _commands("hub"):
        program, *arguments = shlex.split(command)
        assert (BIN / Path(program).name).exists()
        for argument in arguments:
            if argument.startswith("examples/"):
                assert (ROOT / argument).exists(), argument


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    assert pages
    assert [page for page in pages if f"({page})" not in listed] == []
    for page in pages:
        text = (folder / page).read_text(encoding="utf-8")
        assert all(f"\n## {part}\n" in text for part in ("Context", "Decision", "Alternatives", "Consequences"))


def test_the_table_of_exit_codes_is_the_table_in_the_code() -> None:
    from finetune_api.outcomes import ENDINGS

    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", page, re.MULTILINE)
    assert sorted((int(code), outcome) for code, outcome in rows) == sorted(
        (ending.exit_code, ending.outcome.value) for ending in ENDINGS
    )


def test_the_metrics_on_the_page_are_those_that_are_served() -> None:
    from finetune_trainer.observe.metrics import GAUGES

    page = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(finetune_\w+)", page, re.MULTILINE)) == {
        "finetune_phase",
        *(name for _, name, _ in GAUGES),
    }


def test_the_facts_on_the_page_are_those_of_progress() -> None:
    from finetune_trainer.observe import RunState

    page = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8").partition("## `/metrics`")[0]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(RunState().snapshot())
