"""Setting fields by path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry, Place
from wippy.registry.fields import parse_path, with_field

ENTRY = Entry(
    "app:a",
    "http.router",
    {"tags": ["x"]},
    {
        "pool": {"size": 1},
        "steps": [{"text": "a"}, {"text": "b"}],
        "options": {"cors.allow.origins": "*"},
        "source": "return 1",
        "empty": None,
        "text": "x",
    },
    Place("src/a.yaml", 3, {"pool": 5}, {"source": "src/a.lua", "steps[0].text": "src/a.txt"}),
)


def changed(path: str, value: Any) -> Entry:
    segments, append = parse_path(path)
    return with_field(ENTRY, segments, value, append)


@pytest.mark.parametrize(
    ("text", "segments", "append"),
    [
        (".a.b", ["a", "b"], False),
        ("a", ["a"], False),
        ("$.a[0].b", ["a", 0, "b"], False),
        (".a.0", ["a", "0"], False),
        (".middleware +=", ["middleware"], True),
        (".middleware+=", ["middleware"], True),
        ('.options["cors.max.age"]', ["options", "cors.max.age"], False),
    ],
)
def test_paths(text: str, segments: list[str | int], append: bool) -> None:
    assert parse_path(text) == (segments, append)


@pytest.mark.parametrize("text", ["", ".", "a..b", "a[", "a[x]", "+=", "a.", "$"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(Error, match="is not a field path"):
        parse_path(text)


@given(st.text())
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        segments: object = parse_path(text)[0]
    except Error as error:
        segments = error.kind
    assert segments == INVALID or isinstance(segments, list)


def test_setting_leaves_the_entry_as_it_was() -> None:
    entry = changed(".pool.size", 9)
    assert entry.data["pool"] == {"size": 9}
    assert ENTRY.data["pool"] == {"size": 1}
    assert changed(".pool.max.deep", 1).data["pool"] == {"size": 1, "max": {"deep": 1}}
    assert changed(".empty.x", 1).data["empty"] == {"x": 1}
    assert changed(".meta.router", "app:r").meta == {"tags": ["x"], "router": "app:r"}
    assert changed("data.kind", "k").data["kind"] == "k"
    assert changed("kind", "k").kind == "k"
    assert changed("steps[1].text", "c").data["steps"] == [{"text": "a"}, {"text": "c"}]
    assert changed("steps.1", 5).data["steps"] == [{"text": "a"}, 5]
    assert changed("data", {"x": 1}).data == {"x": 1}


def test_a_key_with_dots_wins_over_nesting() -> None:
    assert changed("options.cors.allow.origins", "a").data["options"] == {"cors.allow.origins": "a"}
    assert changed('options["cors.max.age"]', 1).data["options"]["cors.max.age"] == 1


def test_appending() -> None:
    assert changed(".meta.tags +=", "y").meta["tags"] == ["x", "y"]
    assert changed(".middleware+=", "cors").data["middleware"] == ["cors"]


def test_text_that_is_replaced_no_longer_comes_from_its_file() -> None:
    place = changed("source", "return 2").place
    assert place is not None
    assert place.sources == {"steps[0].text": "src/a.txt"}
    place = changed("pool.size", 2).place
    assert place is not None
    assert place.sources == {"source": "src/a.lua", "steps[0].text": "src/a.txt"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", "", "kind must be text, got ''"),
        ("meta", 1, "meta as a whole takes a mapping, got 1"),
        ("text.x", 1, "field \"text\" is 'x', which holds no fields"),
        ("steps[2]", 1, 'list "steps" of 2 has no item "2"'),
        ("steps.x", 1, 'list "steps" of 2 has no item "x"'),
        ("text +=", 1, "cannot append to \"text\": it is 'x', not a list"),
    ],
)
def test_what_does_not_fit(path: str, value: Any, message: str) -> None:
    with pytest.raises(Error) as caught:
        changed(path, value)
    assert (caught.value.message, caught.value.kind) == (message, INVALID)
