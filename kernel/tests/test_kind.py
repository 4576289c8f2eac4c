"""An entry's data as a typed configuration: errors with a place, references, units, unknown fields."""

from __future__ import annotations

import msgspec
import pytest

from wippy.errors import INVALID, Error
from wippy.kind import Duration, Ref, Size, decode_config, named_references
from wippy.registry.entry import Entry, Place


class Inner(msgspec.Struct):
    name: str = ""
    wait: Duration = Duration(1)


class Config(msgspec.Struct):
    target: Ref
    size: Size = Size(0)
    others: list[Ref] = []
    by_name: dict[str, Ref] = {}
    inner: Inner = msgspec.field(default_factory=Inner)
    maybe: Inner | None = None


PLACE = Place("src/_index.yaml", 10, {"size": 14, "inner": 16, "targt": 12})


def entry(**data):
    return Entry("app:x", "test.kind", data=data, place=PLACE)


def decode(**data):
    return decode_config(entry(**data), Config)


def test_values_get_their_types():
    config = decode(target="db", size="1K", others=["a", "ns:b"], by_name={"k": "c"}, inner={"wait": "1m30s"})
    assert config.target == "app:db"
    assert config.size == 1024
    assert config.inner.wait == 90
    assert dict(named_references(config)) == {
        "target": "app:db",
        "others[0]": "app:a",
        "others[1]": "ns:b",
        "by_name.k": "app:c",
    }


def test_an_empty_field_is_an_absent_one():
    assert decode(target="db", inner=None).inner.wait == 1


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        ({}, "src/_index.yaml:10", "target"),
        ({"target": 5}, "src/_index.yaml:10", "entry id"),
        ({"target": "a", "size": "big"}, "src/_index.yaml:14", "size"),
        ({"target": "a", "inner": {"wait": "soon"}}, "src/_index.yaml:16", "soon"),
        ({"target": "a", "inner": 1}, "src/_index.yaml:16", "inner"),
    ],
)
def test_what_does_not_fit_names_place_and_field(data, where, words):
    with pytest.raises(Error) as caught:
        decode(**data)
    assert caught.value.kind == INVALID
    assert str(caught.value).startswith(f"app:x ({where})")
    assert words in str(caught.value)


def test_unknown_fields_are_warnings_with_a_suggestion():
    said = []
    decode_config(entry(target="a", targt="b", inner={"nam": 1}), Config, warn=said.append, open_data=False)
    assert said == [
        'app:x (src/_index.yaml:12): unknown field "targt", did you mean "target"?',
        'app:x (src/_index.yaml:16): unknown field "inner.nam", did you mean "name"?',
    ]


def test_meta_may_carry_a_field():
    found = decode_config(Entry("app:x", "k", meta={"target": "db"}), Config, meta_fields=("target",))
    assert found.target == "app:db"
