from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from finetune_api.crd import structural_schema
from finetune_api.job.part import Quantities, Quantity


class Inner(BaseModel):
    """The inner part."""

    count: Annotated[int, Field(ge=1, le=9)] = Field(default=3, description="How many.")


class Bare(BaseModel):
    label: str | None = Field(default=None, description="A label.")


class Outer(BaseModel):
    inner: Inner = Field(default_factory=Inner, description="Inner.")
    wanted: Inner = Field(description="Wanted.")
    perhaps: Inner | None = Field(default=None, description="Perhaps.")
    bare: Bare = Field(default_factory=Bare, description="Bare.")
    kind: Literal["one"] = Field(default="one", description="Kind.")
    amount: Quantity | None = Field(default=None, description="Amount.")
    amounts: Quantities = Field(default_factory=dict, description="Amounts.")
    names: list[str] = Field(default_factory=list, max_length=4, description="Names.")


PROPERTIES = structural_schema(Outer)["properties"]


def test_parts_are_written_out_with_the_description_of_their_field() -> None:
    count = {"description": "How many.", "type": "integer", "default": 3, "minimum": 1, "maximum": 9}
    assert PROPERTIES["wanted"] == {"description": "Wanted.", "type": "object", "properties": {"count": count}}


def test_an_optional_part_is_a_part_that_is_not_required() -> None:
    assert PROPERTIES["perhaps"]["properties"] == PROPERTIES["wanted"]["properties"]
    assert "default" not in PROPERTIES["perhaps"]
    assert structural_schema(Outer)["required"] == ["wanted"]


def test_a_part_is_made_by_default_only_when_something_in_it_has_a_default() -> None:
    assert PROPERTIES["inner"]["default"] == {}
    assert "default" not in PROPERTIES["bare"]


def test_an_empty_list_or_mapping_is_no_default() -> None:
    assert "default" not in PROPERTIES["names"]
    assert "default" not in PROPERTIES["amounts"]


def test_a_constant_is_a_choice_of_one() -> None:
    assert PROPERTIES["kind"]["enum"] == ["one"]


def test_a_quantity_is_an_integer_or_a_bounded_string() -> None:
    assert PROPERTIES["amount"]["x-kubernetes-int-or-string"] is True
    assert PROPERTIES["amount"]["maxLength"] == 32
    assert "type" not in PROPERTIES["amount"]
    assert PROPERTIES["amounts"]["maxProperties"] == 32


class Either(BaseModel):
    value: list[str] | bool = Field(description="A list or a truth value.")


class Patterned(BaseModel):
    value: str = Field(pattern="a+", description="A pattern, whose error nobody understands.")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Either, r"Either\.value: a structural schema has no alternatives"),
        (Patterned, r"Patterned\.value: a structural schema has no pattern"),
    ],
)
def test_what_such_a_schema_cannot_say_is_an_error_with_its_path(model: type[BaseModel], sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        structural_schema(model)
