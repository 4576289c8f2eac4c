"""YAML scalars as Go's yaml.v3 reads them, places, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.registry.document import Document, parse_plain_scalar


def read(text: str | bytes) -> Any:
    document = Document(text, "a.yaml")
    return document.value(document.root)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("n", "n"),
        ("tRUE", "tRUE"),
        ("~", None),
        ("Null", None),
        ("12", 12),
        ("-7", -7),
        ("+3", 3),
        ("0o17", 15),
        ("0644", 420),
        ("-0x1F", -31),
        ("0b101", 5),
        ("1_000", 1000),
        ("089", 89.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        (".", "."),
        ("-", "-"),
        ("1.2.3", "1.2.3"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("=", "="),
        ("0x", "0x"),
        (str(2**64 - 1), 2**64 - 1),
        (str(2**64), float(2**64)),
        ("-" + "9" * 100, -1e100),
    ],
)
def test_plain_scalars(text: str, value: Any) -> None:
    found = parse_plain_scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_quotes_and_tags_decide_the_type() -> None:
    text = "{a: '12', b: \"true\", c: !!str 12, d: !!int '7', e: !!float 3, f: !mine x, g: !!binary aGk=, h: !!null ''}"
    assert read(text) == {"a": "12", "b": "true", "c": "12", "d": 7, "e": 3.0, "f": "x", "g": b"hi", "h": None}


def test_keys_are_text() -> None:
    assert read("1: a\ntrue: b\nnull: c\n") == {"1": "a", "true": "b", "null": "c"}


def test_merge_keys_and_aliases() -> None:
    text = "base: &b {x: 1, y: 1}\nother: &o {y: 2, z: 2}\nused: {<<: [*b, *o], x: 3}\n"
    assert read(text)["used"] == {"x": 3, "y": 1, "z": 2}


def test_fields_know_their_line_and_column() -> None:
    document = Document("a: 1\nb:\n  c: 2\n", "a.yaml")
    assert document.root is not None
    fields = document.fields(document.root)
    inner = document.fields(fields["b"].node)
    assert [(f.line, f.column) for f in (fields["a"], fields["b"], inner["c"])] == [(1, 1), (2, 1), (3, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "a.yaml:2:1: YAML does not parse: did not find expected ',' or ']'"),
        ("a: 1\nb: {\n", "a.yaml:3:1: YAML does not parse: did not find expected node content"),
        ("a: 1\n\tb: 2\n", "a.yaml:2:1: YAML does not parse: found a tab character that violates indentation"),
        ("a: *x\n", "a.yaml:1:4: YAML does not parse: found undefined alias"),
        ("a: 1\nb: 2\na: 3\n", 'a.yaml:3:1: key "a" stands on line 1 already'),
        ("? [1]\n: 2\n", "a.yaml:1:3: a key must be text, not a list or a mapping"),
        ("a: &x [*x]\n", "a.yaml:1:4: an alias stands inside the value it refers to"),
        ("a: {<<: 1}\n", "a.yaml:1:9: << merges mappings only"),
        ("a: !!int b\n", 'a.yaml:1:4: "b" is not a int'),
        ("a: !!binary '?'\n", "a.yaml:1:4: !!binary needs base64"),
        (b"a: 1\nb: \xff\n", "a.yaml:2:4: YAML does not parse: invalid leading UTF-8 octet"),
    ],
)
def test_what_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(Error) as caught:
        read(text)
    assert (caught.value.message, caught.value.kind) == (message, INVALID)


@pytest.mark.parametrize("text", ["[" * 5000, "[" * 400 + "]" * 400, "{a: " * 900 + "1" + "}" * 900])
def test_deep_nesting_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except Error as error:
        kind = error.kind
    else:
        kind = INVALID
    assert kind == INVALID


def test_aliases_do_not_expand_without_bounds() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(Error, match="aliases expand to over"):
        read("\n".join(lines))


def test_only_the_first_document_is_read() -> None:
    assert not Document("a: 1\n", "a.yaml").more
    document = Document("a: 1\n---\n{b: [\n", "a.yaml")
    assert document.more
    assert document.value(document.root) == {"a": 1}
    assert read("") is None


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1).filter(lambda k: k != "<<"), inner),
    max_leaves=20,
)


@given(_JSON)
def test_json_written_as_ascii_is_yaml(value: Any) -> None:
    text = json.dumps(value)
    if "\\ud" not in text:  # YAML has no surrogate pairs; wippy.registry.source reads such files as JSON
        assert read(text) == value


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except Error as error:
        kind = error.kind
    else:
        kind = INVALID
    assert kind == INVALID
