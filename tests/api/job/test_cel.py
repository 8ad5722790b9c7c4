from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from finetune_api.job.cel import VALIDATIONS, Cel, ListMap, Shape

LOWER = Shape("[a-z]+", "is not lower case; write a-z")
Word = TypeAdapter(Annotated[str, Field(max_length=9), LOWER, Cel("self != 'all'", "is taken")])


class Entry(BaseModel):
    name: str


Entries = TypeAdapter(Annotated[list[Entry], Field(max_length=3), ListMap("name")])


@pytest.mark.parametrize("text", ["A", "", "a b", "a\n", "aé"])
def test_a_text_must_match_its_shape_as_a_whole(text: str) -> None:
    with pytest.raises(ValidationError, match="is not lower case; write a-z"):
        Word.validate_python(text)
    assert Word.validate_python("abc") == "abc"


def test_the_api_server_says_the_same_sentence_with_the_value() -> None:
    shape, rule = Word.json_schema()[VALIDATIONS]
    assert shape["rule"] == "self.matches(r'^([a-z]+)$')"
    assert shape["messageExpression"] == r"'\'' + self + '\' is not lower case; write a-z'"
    assert rule == {"rule": "self != 'all'", "message": "is taken"}


def test_bounds_stay_beside_the_rules() -> None:
    assert Word.json_schema()["maxLength"] == 9
    assert Entries.json_schema()["maxItems"] == 3


def test_entries_of_a_list_by_name_differ_in_their_names() -> None:
    with pytest.raises(ValidationError, match="'a' is the name of two entries; leave one out"):
        Entries.validate_python([{"name": "a"}, {"name": "b"}, {"name": "a"}])
    assert len(Entries.validate_python([{"name": "a"}, {"name": "b"}])) == 2


def test_a_list_by_name_is_merged_by_name() -> None:
    schema: dict[str, Any] = Entries.json_schema()
    assert (schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"]) == ("map", ["name"])
