import io

from rich.console import Console
from rich.text import Text

from finetune_cli.cluster.columns import in_columns, labelled, state_text, text


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_words() -> None:
    lines = in_columns([("a", Text("four"), "x"), ("bbb", "c", "")], ("A", "B", "C"))
    assert [line.plain for line in lines] == ["A     B      C", "a     four   x", "bbb   c"]


def test_wide_characters_count_twice() -> None:
    assert [line.plain for line in in_columns([("日本", "x"), ("abcd", "y")])] == ["日本   x", "abcd   y"]


def test_a_label_stands_before_its_first_line_only() -> None:
    lines = labelled("next", [text("one"), text("two")], 6)
    assert [line.plain for line in lines] == ["next  one", "      two"]


def test_states_have_colours_on_a_terminal() -> None:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="standard").print(state_text("Failed"))
    assert out.getvalue() == "\x1b[31mFailed\x1b[0m\n"
