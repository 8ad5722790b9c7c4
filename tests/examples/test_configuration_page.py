import sys
from pathlib import Path

from finetune_api.config import TrainingConfig
from support.shell import ROOT, run


def test_the_page_of_keys_agrees_with_the_models() -> None:
    checked = run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, cache=Path("unused"))
    assert checked.returncode == 0, checked.stdout


def test_the_page_names_every_key_of_the_file() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [key for key in TrainingConfig.model_fields if f"| `{key}` |" not in page] == []
