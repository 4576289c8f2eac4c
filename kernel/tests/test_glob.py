"""Patterns over namespaces and paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.registry.glob import matcher


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("app", ["app"], ["app.x", "apps", ""]),
        ("app.*", ["app.x"], ["app", "app.x.y"]),
        ("app.**", ["app", "app.x", "app.x.y"], ["apps", "other.app"]),
        ("**.test", ["test", "a.test", "a.b.test"], ["testing", "a.test.b"]),
        ("a.**.z", ["a.z", "a.b.z", "a.b.c.z"], ["az", "a.b"]),
        ("**", ["", "a", "a.b"], []),
        ("app.t?st*", ["app.test", "app.tastes"], ["app.tst", "app.test.x"]),
        ("a[b", ["a[b"], ["ab"]),
    ],
)
def test_namespaces(pattern: str, matching: list[str], others: list[str]) -> None:
    test = matcher([pattern], ".")
    assert [name for name in matching + others if test(name)] == matching


def test_paths_and_several_patterns() -> None:
    test = matcher(["**/*_test.yaml", "fixtures/**"], "/")
    assert test("a/b/x_test.yaml")
    assert test("x_test.yaml")
    assert test("fixtures/deep/er.yaml")
    assert not test("a/x.yaml")
    assert not matcher([], "/")("a")


@given(st.lists(st.text("ab*?.", min_size=1), min_size=1), st.text("ab."))
def test_no_pattern_fails(patterns: list[str], name: str) -> None:
    assert matcher(patterns, ".")(name) in (True, False)
    assert matcher([name], ".")(name)
