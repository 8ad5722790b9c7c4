"""What must hold for the repository as a whole."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_no_folder_becomes_a_package_that_shadows_the_standard_library_or_another_test() -> None:
    stray = [path for path in (ROOT / "operator" / "__init__.py", ROOT / "tests" / "__init__.py") if path.exists()]
    assert stray + sorted((ROOT / "tests").rglob("__init__.py")) == []


def test_locks_are_hashed_and_name_no_registry() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock.name
        pinned = re.findall(r"^[a-z0-9][^\s=]*==", text, re.MULTILINE)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned), lock.name


def test_the_operator_image_carries_no_torch_and_the_trainer_image_no_kopf() -> None:
    operator = (ROOT / "requirements" / "operator.txt").read_text(encoding="utf-8")
    trainer = (ROOT / "requirements" / "trainer.txt").read_text(encoding="utf-8")
    assert "kopf==" in operator
    assert not re.search(r"^torch==", operator, re.MULTILINE)
    assert re.search(r"^torch==", trainer, re.MULTILINE)
    assert "kopf==" not in trainer


def test_every_lock_satisfies_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    wanted = [name for extra in project["optional-dependencies"].values() for name in extra] + project["dependencies"]
    for requirement in wanted:
        name = re.split(r"[<>=]", requirement)[0]
        assert re.search(rf"^{re.escape(name)}==", locked, re.MULTILINE), f"make lock: {name} is not locked"
