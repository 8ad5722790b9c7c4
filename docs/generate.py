"""Writes the pages that come from the code, so that they cannot disagree with them.

python docs/generate.py            write the pages
python docs/generate.py --check    exit 1 when one is stale, and name it
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from docs.generators import api, configuration, settings  # noqa: E402

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "api.md": api.page,
    "configuration.md": configuration.page,
    "settings.md": settings.page,
}


def main() -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit 1 when one is stale")
    if not parser.parse_args().check:
        write()
        return 0
    found = stale()
    for name in found:
        print(f"docs/{name} is stale; run: python docs/generate.py", file=sys.stderr)
    return 1 if found else 0


def write(folder: Path = FOLDER) -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of the pages that differ from what would be written."""
    return [name for name, page in PAGES.items() if _text(folder / name) != page()]


def _text(page: Path) -> str | None:
    return page.read_text(encoding="utf-8") if page.exists() else None


if __name__ == "__main__":
    sys.exit(main())
