from typing import Any

import pytest

from finetune_api.crd import job_schema
from finetune_api.crd.rules import FROZEN_POLICY, MUTABLE
from finetune_api.errors import ConfigInvalid
from finetune_api.job import RULES, Rule, load_job
from finetune_api.job.cel import VALIDATIONS
from support.bad_jobs import BAD_CHANGES, BAD_NAMES, BAD_SPECS, GOOD_CHANGES, NAME_SENTENCE, UNKNOWN_FIELDS, job
from support.schemas import schemas_below

PLACES = dict(schemas_below(job_schema()))


def rules_at(place: str) -> list[dict[str, Any]]:
    return list(PLACES[place].get(VALIDATIONS, []))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}: {rule.sentence}"[:60])
def test_every_rule_between_fields_is_checked_by_the_api_server_with_the_same_sentence(rule: Rule) -> None:
    for place in rule.at or (rule.path,):
        (found,) = [one for one in rules_at(place) if one["rule"] == rule.cel]
        assert found["message"] == rule.sentence


def test_the_error_of_a_rule_names_the_field_it_is_about() -> None:
    for rule in RULES:
        for place in rule.at:
            (found,) = [one for one in rules_at(place) if one["rule"] == rule.cel]
            if "[]" not in place:  # there it names the entry
                assert f"{place}{found['fieldPath']}".lstrip(".") == rule.path


def test_every_field_of_the_spec_is_frozen_or_known_to_change() -> None:
    frozen = {rule["fieldPath"] for rule in rules_at("spec") if rule.get("reason") == "FieldValueForbidden"}
    fields = {f".{name}" for name in PLACES["spec"]["properties"]} - {f".{name}" for name in MUTABLE}
    assert frozen == fields | {".nodes", *(f".runPolicy.{name}" for name in FROZEN_POLICY)}


def test_no_rule_looks_into_the_configuration() -> None:
    inside = [place for place in PLACES if place.startswith("spec.config")]
    assert len(inside) > 100
    assert [place for place in inside if VALIDATIONS in PLACES[place]] == []


def test_a_rule_on_an_entry_of_a_list_never_looks_back() -> None:
    # The API server cannot tell which old entry belongs to which new one, and refuses such a definition.
    entries = [rule["rule"] for place in PLACES if "[]" in place or ".*" in place for rule in rules_at(place)]
    assert entries
    assert [rule for rule in entries if "oldSelf" in rule] == []


def test_every_rule_has_a_sentence() -> None:
    rules = [rule for schema in PLACES.values() for rule in schema.get(VALIDATIONS, [])]
    assert len(rules) > 50
    assert [rule for rule in rules if " " not in rule["message"]] == []


@pytest.mark.parametrize(("spec", "answer"), BAD_SPECS)
def test_what_the_api_server_refuses_the_models_refuse_too(spec: dict[str, Any], answer: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_job(job(**spec))
    assert len(caught.value.problems) == 1, answer


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_pods_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigInvalid, match=NAME_SENTENCE):
        load_job({**job(), "metadata": {"name": name}})


@pytest.mark.parametrize(("spec", "path"), UNKNOWN_FIELDS)
def test_an_unknown_field_is_refused_with_its_path(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_job(job(**spec))
    assert path in [problem.path for problem in caught.value.problems]


def test_what_may_be_changed_to_is_a_job_by_itself() -> None:
    for before, after in GOOD_CHANGES:
        assert load_job(job(**before))
        assert load_job(job(**after))
    assert {type(load_job(job(**before))) for before, _, _ in BAD_CHANGES}
