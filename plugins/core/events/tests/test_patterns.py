"""Event patterns against a regular expression that means the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy_plugin_events.patterns import Pattern


def matches(pattern: str, name: str) -> bool:
    return Pattern(pattern).matches(name.split("."))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("registry", "registry", "registry.create"),
        ("registry.*", "registry.create", "registry.entry.create"),
        ("registry.*", "registry.create", "registry"),
        ("registry.**", "registry", "registries"),
        ("registry.**", "registry.entry.create", "other.registry"),
        ("**.create", "entry.create", "entry.created"),
        ("a.**.z", "a.z", "a.b"),
        ("a.**.z", "a.b.c.z", "z.a"),
        ("entry.(create|update)", "entry.update", "entry.delete"),
        ("user_(a|b).*", "user_b.x", "user_c.x"),
        ("ord*", "orders", "order.created"),
        ("a+", "a+", "aa"),
    ],
)
def test_examples(pattern: str, yes: str, no: str):
    assert matches(pattern, yes)
    assert not matches(pattern, no)


@pytest.mark.parametrize("pattern", ["(a", "a)", "(a.b|c)", "((a))", "x(a|b"])
def test_parentheses_that_do_not_match(pattern: str):
    with pytest.raises(Error, match="parentheses") as caught:
        Pattern(pattern)
    assert caught.value.kind == INVALID


def oracle(pattern: str) -> re.Pattern[str]:
    """Translate a pattern into a regular expression over a name with a dot before each segment."""
    result = ""
    for segment in pattern.split("."):
        if segment == "**":
            result += r"(?:\.[^.]*)*"
            continue
        result += r"\."
        for part in re.findall(r"\([^)]*\)|\*+|[^*()]+", segment):
            if part[0] == "*":
                result += "[^.]*"
            elif part[0] == "(":
                result += "(?:" + "|".join(map(re.escape, part[1:-1].split("|"))) + ")"
            else:
                result += re.escape(part)
    return re.compile(result, re.DOTALL)


texts = st.text("ab", max_size=2)
parts = st.one_of(texts, st.just("*"), st.lists(texts, min_size=1, max_size=3).map(lambda t: f"({'|'.join(t)})"))
segments = st.one_of(st.just("**"), st.lists(parts, max_size=3).map("".join))
patterns = st.lists(segments, min_size=1, max_size=5).map(".".join)
names = st.lists(st.text("ab", max_size=3), min_size=1, max_size=5).map(".".join)


@given(patterns, names)
def test_means_what_the_regular_expression_means(pattern: str, name: str):
    assert matches(pattern, name) == (oracle(pattern).fullmatch("." + name) is not None)


def test_many_gaps_stay_cheap():
    # A backtracking matcher would not come back from this.
    assert not matches("**.a." * 12 + "b", ".".join("a" * 200))
