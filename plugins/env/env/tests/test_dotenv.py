"""The format of env.storage.file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy_plugin_env.dotenv import parse, with_value


def test_values_comments_and_blanks():
    text = "# head\n\nA=1\n  B = two words  # why\nC=\nD=a=b\nE='quoted'\nF=x#y\r\nA=3\n"
    assert parse(text, "x.env") == {"A": "3", "B": "two words", "C": "", "D": "a=b", "E": "'quoted'", "F": "x"}


@pytest.mark.parametrize("line", ["novalue", "=x", "  = y", "a # b = c"])
def test_other_lines_are_named(line: str):
    with pytest.raises(Error, match=r"conf/x\.env:2: expected NAME=value") as caught:
        parse(f"A=1\n{line}\n", "conf/x.env")
    assert caught.value.kind == INVALID


def test_setting_keeps_everything_else():
    text = "# head\nA=1 # one\nB=2\nA=3"
    assert with_value(text, "A", "9") == "# head\nA=1 # one\nB=2\nA=9"
    assert with_value(text, "C", "x") == "# head\nA=1 # one\nB=2\nA=3\nC=x\n"
    assert with_value("", "A", "1") == "A=1\n"
    assert with_value("A=1\n", "B", "2") == "A=1\nB=2\n"


@pytest.mark.parametrize(
    ("name", "value"), [("A", "x#y"), ("A", " x"), ("A", "x\ny"), ("", "x"), ("A=B", "x"), ("#A", "x"), (" A", "x")]
)
def test_what_a_file_cannot_hold_is_refused(name: str, value: str):
    with pytest.raises(Error, match="cannot hold") as caught:
        with_value("", name, value)
    assert caught.value.kind == INVALID


names = st.text(st.characters(codec="utf-8", exclude_characters="=#\r\n"), min_size=1).filter(lambda t: t == t.strip())
values = st.text(st.characters(codec="utf-8", exclude_characters="#\r\n")).filter(lambda t: t == t.strip())


@given(st.lists(st.tuples(names, values), max_size=6))
def test_what_was_set_is_read(pairs: list[tuple[str, str]]):
    text = "# comment\n"
    for name, value in pairs:
        text = with_value(text, name, value)
    assert parse(text, "x.env") == dict(pairs)
    assert text.startswith("# comment\n")


@given(st.text(st.sampled_from("A=#b \n\r"), max_size=12), names, values)
def test_setting_one_leaves_the_others(text: str, name: str, value: str):
    try:
        before = parse(text, "x.env")
    except Error:
        return
    assert parse(with_value(text, name, value), "x.env") == {**before, name: value}
