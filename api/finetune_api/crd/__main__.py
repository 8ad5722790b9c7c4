"""python -m finetune_api.crd > FILE           write the CustomResourceDefinition
python -m finetune_api.crd --check FILE     exit 1 when FILE is stale
"""

import argparse
import sys
from pathlib import Path

from finetune_api.crd import crd_yaml


def main() -> int:
    """Print the definition, or compare a file with it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare FILE instead of printing")
    checked: Path | None = parser.parse_args().check
    if checked is None:
        sys.stdout.buffer.write(crd_yaml().encode())
        return 0
    if checked.exists() and checked.read_text(encoding="utf-8") == crd_yaml():
        return 0
    print(f"{checked} is stale; run: make crds", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
