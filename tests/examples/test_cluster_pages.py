"""What the pages about clusters say, as far as it can be judged without one; the tests on a cluster run it."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from support.doc_blocks import CLUSTER, PAGES, blocks, commands, guide
from support.shell import BIN, ROOT, run

KINDS = {"", "slow", "hub", "images", "uninstall", CLUSTER}
FLAGS = {
    "kubectl apply": {"--namespace", "--dry-run", "-f", "--server-side"},
    "kubectl auth": {"--namespace"},
    "kubectl cp": {"--namespace"},
    "kubectl create": {"--namespace", "--from-file"},
    "kubectl delete": {"--namespace", "--grace-period"},
    "kubectl describe": {"--namespace"},
    "kubectl events": {"--namespace", "--for"},
    "kubectl explain": set[str](),
    "kubectl get": {"--namespace", "--selector", "--all-namespaces", "--output", "-o"},
    "kubectl label": set[str](),
    "kubectl logs": {"--namespace", "--tail"},
    "kubectl patch": {"--namespace", "--type", "--patch"},
    "kubectl port-forward": {"--namespace"},
    "kubectl rollout": {"--namespace", "--timeout"},
    "kubectl wait": {"--namespace", "--for", "--timeout"},
    "helm install": {"--namespace", "--create-namespace", "--values", "--wait"},
    "helm test": {"--namespace"},
    "helm uninstall": {"--namespace", "--wait"},
    "helm upgrade": {"--namespace", "--values", "--wait", "--set", "--reset-then-reuse-values"},
    "docker build": {"-f", "-t"},
    "docker push": set[str](),
}
"""What the pages use of other people's tools: a slip of the pen would be none of these."""
FILES = re.compile(r"(?<![\w/.:-])(?:examples|charts|crds|config|operator|trainer_image|mine)/[\w./-]+")
INPUTS = re.compile(r"(?:-f |-k |--values )(\S+\.yaml)")
TOOLS = ("kubectl", "helm", "docker", "finetune")
ELSEWHERE = (CLUSTER, "images", "uninstall")
ON_CLUSTERS = [(page, command) for page in PAGES for kind in ELSEWHERE for command in commands(kind, page)]


def _calls(command: str) -> Iterator[list[str]]:
    """The calls of known tools in a line of shell: alone, behind a pipe, or inside $(…)."""
    for part in re.split(r"\||\$\(", command):
        words = shlex.split(part.replace("(", " ").replace(")", " ").replace('"', " "))
        if words and Path(words[0]).name in TOOLS:
            yield words


def _verb(words: list[str]) -> str:
    """The tool and what it is asked to do, whatever flags stand between them."""
    rest = iter(words[1:])
    for word in rest:
        if not word.startswith("-"):
            return f"{Path(words[0]).name} {word}"
        if "=" not in word:
            next(rest, None)
    return Path(words[0]).name


def _flags(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words[1:] if re.match(r"-{1,2}[a-z]", word)}


@cache
def _help_of(verb: str) -> str:
    return run([str(BIN / "finetune"), verb.split()[1], "--help"], cwd=ROOT, cache=Path("unused")).stdout


def test_there_are_commands_for_clusters() -> None:
    assert {_verb(words) for _, command in ON_CLUSTERS for words in _calls(command)} >= {
        *("helm install", "kubectl apply", "kubectl get", "finetune wait", "docker build")
    }


def test_the_guide_lists_each_of_its_pages_and_each_leads_to_the_next() -> None:
    pages = guide()
    assert sorted(page.name for page in pages) == sorted(
        page.name for page in (ROOT / "docs" / "guide").glob("*.md") if page.name != "README.md"
    )
    for page, following in pairwise(pages):
        assert re.search(rf"^Next: \[.*\]\({following.name}\)", page.read_text(encoding="utf-8"), re.MULTILINE), (
            page.name
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_commands_says_where_it_runs(page: Path) -> None:
    assert {block.word for block in blocks(page) if block.language == "console"} <= KINDS
    if (ROOT / "docs") in page.parents:
        assert [block for block in blocks(page) if block.language in ("sh", "shell", "bash")] == []


@pytest.mark.parametrize(("page", "command"), ON_CLUSTERS, ids=lambda value: str(getattr(value, "name", "")))
def test_calls_of_kubectl_helm_and_docker_use_flags_that_they_have(page: Path, command: str) -> None:
    for words in _calls(command):
        if Path(words[0]).name != "finetune":
            assert _flags(words) <= FLAGS[_verb(words)], command


@pytest.mark.parametrize(("page", "command"), ON_CLUSTERS, ids=lambda value: str(getattr(value, "name", "")))
def test_calls_of_finetune_use_flags_that_it_has(page: Path, command: str) -> None:
    for words in _calls(command):
        if Path(words[0]).name == "finetune":
            told = _help_of(_verb(words))
            assert [flag for flag in _flags(words) if not re.search(rf"(^|[\s,│]){flag}\b", told)] == [], told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_commands_for_clusters_name_exist_or_are_on_the_page(page: Path) -> None:
    written = {block.word for block in blocks(page) if block.is_file}
    for command in (*commands(CLUSTER, page), *commands("images", page)):
        for path in (*FILES.findall(command), *INPUTS.findall(command)):
            assert path in written or (ROOT / path).exists(), f"{command}: {path}"
