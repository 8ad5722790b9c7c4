import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from finetune_api.config import TrainingConfig
from finetune_api.crd.definition import job_schema
from finetune_api.job import RULES
from finetune_api.reasons import REASONS, ConditionType, Reason
from finetune_operator.settings import NetworkSettings, PodSettings, Settings, TimingSettings
from support.shell import ROOT, run

sys.path.insert(0, str(ROOT))  # docs/ is no installed package

from docs.generate import PAGES, stale, write
from docs.generators.fields import fields_of, value_words
from docs.generators.meanings import leftovers, meaning
from docs.generators.rules import may_change, paths_by_sentence
from docs.generators.settings import docstrings

API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SPEC = job_schema()["properties"]["spec"]


def test_the_pages_agree_with_the_models() -> None:
    checked = run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, cache=Path("unused"))
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_was_edited_or_is_missing_is_named(page: str, tmp_path: Path) -> None:
    write(tmp_path)
    assert stale(tmp_path) == []
    with (tmp_path / page).open("a", encoding="utf-8") as file:
        file.write("edited\n")
    assert stale(tmp_path) == [page]
    (tmp_path / page).unlink()
    assert stale(tmp_path) == [page]


def test_the_page_of_keys_names_every_key_of_the_file() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [key for key in TrainingConfig.model_fields if f"| `{key}` |" not in page] == []


def test_the_reference_has_a_row_with_a_meaning_for_every_field_of_spec_and_status() -> None:
    rows = [line.strip("| ").split(" | ") for line in API.splitlines() if line.startswith("| `")]
    told = {row[0].strip("`"): row[-1] for row in rows}
    fields = [*_inside(SPEC), *(one.path for one in fields_of(job_schema()["properties"]["status"]))]
    assert len(fields) > 150
    assert [path for path in fields if len(told.get(path, "")) < 4] == []


def _inside(spec: Any) -> Iterator[str]:
    """The fields as the page writes them: those of `spec.x` below the heading of x."""
    for one in fields_of(spec):
        top, dot, below = one.path.partition(".")
        yield f"[].{below}" if top.endswith("[]") else below if dot else top


def test_the_reference_has_every_rule_with_its_sentence() -> None:
    assert [rule.sentence for rule in RULES if f"| {rule.sentence} |" not in API] == []


def test_a_rule_stands_beside_every_field_that_it_is_about() -> None:
    rule, change = {"message": "is no name"}, {"message": "cannot change", "reason": "FieldValueForbidden"}
    name = {"x-kubernetes-validations": [rule, change]}
    schema = {
        "properties": {"claim": name, "mounts": {"items": {"properties": {"name": name}}}},
        "additionalProperties": name,
        "x-kubernetes-validations": [{"message": "too many", "fieldPath": ".mounts"}],
    }
    assert paths_by_sentence(schema, "spec") == {
        "too many": ["spec.mounts"],
        "is no name": ["spec.claim", "spec.mounts[].name", "spec.*"],
    }


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("config", "no"),
        ("dataset.volume.configMap.name", "no"),
        ("imagePullSecrets[].name", "no"),
        ("nodes", "within elastic"),
        ("runPolicy", "in part"),
        ("runPolicy.suspend", "yes"),
        ("runPolicy.ttlSecondsAfterFinished.failed", "yes"),
        ("runPolicy.cleanPods", "no"),
    ],
)
def test_the_reference_tells_which_fields_of_a_job_may_change(path: str, words: str) -> None:
    assert may_change(SPEC, path) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 64}, "integer from 1 to 64"),
        ({"type": "integer", "minimum": 0, "maximum": 2**53}, "integer from 0"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "text of 1 to 9 characters"),
        ({"type": "string", "enum": ["", "Memory"]}, "empty or `Memory`"),
        ({"type": "string", "format": "date-time"}, "time"),
        ({"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 9}}, "list of at most 3 texts of "
         "at most 9 characters"),
        ({"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}}, "map to quantities"),
    ],
)  # fmt: skip
def test_a_schema_is_told_in_words(schema: dict[str, Any], words: str) -> None:
    assert " ".join(value_words(schema).split()) == words


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: f"{reason.condition}-{reason.name}")
def test_the_reference_explains_every_reason(reason: Reason) -> None:
    row = re.search(rf"^\| `{reason.name}` \| .*\| {re.escape(reason.sentence)} \| (.+) \|$", API, re.MULTILINE)
    assert row
    assert meaning(reason) in API


def test_a_reason_without_an_explanation_is_named_with_the_place_to_write_it() -> None:
    with pytest.raises(SystemExit, match=r"meanings\.py says nothing about Failed/NewReason; add it there"):
        meaning(Reason(ConditionType.FAILED, "True", "NewReason", "{message}"))


def test_nothing_is_explained_that_no_condition_can_say() -> None:
    assert leftovers() == []
    assert "Failed/Diverged" in leftovers([reason for reason in REASONS if reason.name != "Diverged"])


@pytest.mark.parametrize("owner", [Settings, PodSettings, NetworkSettings, TimingSettings])
def test_every_setting_has_words_that_explain_it(owner: type[Any]) -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    own = {field.name for field in dataclasses.fields(owner)} - {"pods", "network", "timing"}
    assert own == set(docstrings(owner))
    assert [name for name in own if f"| `{to_camel(name)}` |" not in page] == []
