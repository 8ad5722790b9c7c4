"""Every command in the documentation runs; `support.doc_blocks` says how a page marks them."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from support.doc_blocks import PAGES, blocks, commands, workspace_like_the_root
from support.shell import BIN, ROOT, run

LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _runs_here(command: str) -> bool:
    return not command.startswith("make ")  # checked by name below; running them is the work of make itself


def _play(page: Path, workspace: Path, kinds: set[str]) -> None:
    for block in blocks(page):
        if block.is_file:
            block.write(workspace)
        elif block.language == "console" and block.word in kinds:
            for command in filter(_runs_here, block.commands):
                done = run(command, cwd=workspace, cache=workspace / "cache")
                assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}"


def test_the_documentation_hascommands() -> None:
    assert any(command.startswith(".venv/bin/finetune run") for command in commands("slow"))
    assert "make demo" in set(commands(""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_quick_commands_run(page: Path, tmp_path: Path) -> None:
    if not any(block.language == "console" and block.word == "" for block in blocks(page)):
        return
    _play(page, workspace_like_the_root(tmp_path), {""})


@pytest.mark.distributed
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_all_commands_run_in_their_order(page: Path, tmp_path: Path) -> None:
    if not any(block.word == "slow" for block in blocks(page)):
        return
    _play(page, workspace_like_the_root(tmp_path), {"", "slow"})


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_every_make_target_that_is_named_exists() -> None:
    targets = sorted({command.split()[1] for command in commands("") if command.startswith("make ")})
    assert targets
    for target in targets:
        tried = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=False)
        assert tried.returncode == 0, f"make {target}: {tried.stderr.decode()}"


def test_commands_that_need_a_hub_name_files_that_exist() -> None:
    for command in commands("hub"):
        program, *arguments = shlex.split(command)
        assert (BIN / Path(program).name).exists()
        for argument in arguments:
            if argument.startswith("examples/"):
                assert (ROOT / argument).exists(), argument


def _anchors(page: Path) -> set[str]:
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            other = page.parent / target if target else page
            assert other.exists(), target
            assert not anchor or anchor in _anchors(other), f"{target}#{anchor}"


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    assert pages
    assert [page for page in pages if f"({page})" not in listed] == []
    for page in pages:
        text = (folder / page).read_text(encoding="utf-8")
        assert all(f"\n## {part}\n" in text for part in ("Context", "Decision", "Alternatives", "Consequences"))


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
