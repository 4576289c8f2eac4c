"""Semantic versions and ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.registry.versions import parse_version, satisfies


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        ("1.2.3", ["1.2.3", "v1.2.3", "1.2.3+build"], ["1.2.4", "1.2.3-rc.1", "1.2.2"]),
        ("^1.2.0", ["1.2.0", "1.9.9"], ["1.1.9", "2.0.0", "2.0.0-rc.1"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("~1.2.0", ["1.2.0", "1.2.9"], ["1.3.0"]),
        ("~1", ["1.0.0", "1.9.0"], ["2.0.0"]),
        (">=1.0.0", ["1.0.0", "7.1.0"], ["0.9.9", "1.0.0-rc.1"]),
        (">1.2", ["1.3.0"], ["1.2.9"]),
        ("<=1.2", ["1.2.9", "0.1.0"], ["1.3.0"]),
        (">=1.0.0 <2.0.0", ["1.5.0"], ["2.0.0", "2.0.0-rc1", "0.9.0"]),
        (">= 1.0, < 2", ["1.5.0"], ["2.0.0"]),
        ("1.x", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("1.2.*", ["1.2.7"], ["1.3.0"]),
        ("*", ["0.0.1", "9.9.9"], []),
        ("latest", ["0.0.1"], []),
        ("", ["0.0.1"], []),
        ("^1.0 || ^3.0", ["1.1.0", "3.1.0"], ["2.0.0"]),
        ("1.2.0 - 1.4.0", ["1.2.0", "1.4.0"], ["1.4.1"]),
        ("!=1.2.3", ["1.2.4"], ["1.2.3"]),
        (">=0.3.0", ["0.3.0.dev1", "0.4.0rc1", "0.3.0.post1"][1:], ["0.3.0.dev1", "0.3.0rc1"]),
    ],
)
def test_ranges(wanted: str, inside: list[str], outside: list[str]) -> None:
    assert [v for v in inside + outside if satisfies(v, wanted)] == inside


def test_order_of_pre_releases() -> None:
    texts = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]
    versions = [parse_version(text) for text in texts]
    assert sorted(versions, reverse=True)[::-1] == versions


@pytest.mark.parametrize("text", ["", "x", "1.2.3.x", "-1", "1..2"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(Error) as caught:
        parse_version(text)
    assert caught.value.kind == INVALID


@pytest.mark.parametrize("wanted", ["^", "1.0 | 2.0", ">=x1", "~~1", "1 || ?"])
def test_what_is_no_range(wanted: str) -> None:
    with pytest.raises(Error) as caught:
        satisfies("1.0.0", wanted)
    assert caught.value.kind == INVALID


_PART = st.integers(0, 50)


@given(_PART, _PART, _PART)
def test_a_version_lies_in_the_ranges_made_of_it(major: int, minor: int, patch: int) -> None:
    text = f"{major}.{minor}.{patch}"
    assert all(satisfies(text, operator + text) for operator in ("", "=", "^", "~", ">=", "<="))
    assert not any(satisfies(text, operator + text) for operator in ("!=", "<", ">"))


@given(st.text(), st.text())
def test_any_text_is_compared_or_refused(version: str, wanted: str) -> None:
    try:
        answer: object = satisfies(version, wanted)
    except Error as error:
        answer = error.kind
    assert answer in (True, False, INVALID)
