"""The fenced blocks of a page of documentation: commands to run, and files that they use.

A block marked `console` holds commands after `$ `, what they print below them. The word after `console` says where
they run: none, on any machine in seconds; `slow`, with the distributed tests; `hub`, only with a model hub; `cluster`,
on a Kubernetes cluster, with kubectl, helm and the root of the repository as the working directory; `uninstall`,
there after everything else; `images`, where docker and a registry are. A block marked with a language and a path is a
file that the commands after it use. Commands of one page share a working directory,
from top to bottom.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.shell import BIN, ROOT

PAGES: Final = sorted(page for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md") for page in ROOT.glob(pattern))
CLUSTER: Final = "cluster"

_FENCE: Final = re.compile(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT: Final = "$ "


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word after it, and its lines."""

    language: str
    word: str
    text: str

    @property
    def is_file(self) -> bool:
        """Whether this is a file that commands use; its path is `word`."""
        return self.language != "console" and bool(self.word)

    @property
    def commands(self) -> list[str]:
        """The lines of shell in the block; a line that ends with a backslash goes on in the next."""
        joined = self.text.replace("\\\n", "") if self.language == "console" else ""
        return [line.removeprefix(_PROMPT) for line in joined.splitlines() if line.startswith(_PROMPT)]

    def write(self, workspace: Path) -> None:
        """Write the file below `workspace`."""
        file = workspace / self.word
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text, encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, from top to bottom."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(language, word, text) for language, word, text in found]


def commands(kind: str, page: Path | None = None) -> list[str]:
    """Return the commands of one kind (empty: the quick ones) on `page`, or on all pages."""
    pages = [page] if page else PAGES
    found = [block for one in pages for block in blocks(one) if block.language == "console" and block.word == kind]
    return [command for block in found for command in block.commands]


def guide() -> list[Path]:
    """Return the pages of the guide in the order in which they are to be read, and their commands to be run."""
    folder = ROOT / "docs" / "guide"
    listed = re.findall(r"^\| \[[^\]]+\]\((\S+)\) \|", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [folder / name for name in listed]


def workspace_like_the_root(directory: Path) -> Path:
    """Return a directory that looks like the root of the repository and may be written to."""
    for folder in ("charts", "docs", "examples"):
        shutil.copytree(ROOT / folder, directory / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (directory / ".venv").symlink_to(BIN.parent)
    return directory
