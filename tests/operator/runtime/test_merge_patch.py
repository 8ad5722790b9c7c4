"""The patch between two values, and back."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_operator.runtime.merge_patch import merge_patch
from support.fake_api_server import merged

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def _without_empty(value: Any) -> Any:
    """A merge patch cannot make an empty mapping out of another value's absence; statuses hold none."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_empty(inner) for key, inner in value.items()}
    return {key: inner for key, inner in kept.items() if inner != {}}


@given(OBJECTS, OBJECTS)
def test_a_patch_turns_one_value_into_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    before, after = _without_empty(before), _without_empty(after)
    assert _without_empty(merged(before, merge_patch(before, after))) == after


@given(OBJECTS)
def test_nothing_changes_nothing(value: dict[str, Any]) -> None:
    assert merge_patch(value, value) == {}


def test_what_neither_side_knows_is_left_alone() -> None:
    patch = merge_patch({"a": 1, "b": {"x": 1}}, {"b": {"x": 2}})
    assert patch == {"a": None, "b": {"x": 2}}
    assert merged({"a": 1, "b": {"x": 1, "new": 1}, "newer": 1}, patch) == {"b": {"x": 2, "new": 1}, "newer": 1}
