"""Message bodies (manual page system/queue, "Codecs")."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.sandbox.codec import Payload
from wippy_plugin_queue import JSON, MSGPACK, decode_body, encode_body

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)


def values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    )


@given(values(SCALARS | st.text()))
def test_json_round_trip(value: Any) -> None:
    assert decode_body(JSON, encode_body(JSON, value)) == value


@given(values(SCALARS | st.text() | st.binary()))
def test_msgpack_round_trip(value: Any) -> None:
    assert decode_body(MSGPACK, encode_body(MSGPACK, value)) == value


@given(values(SCALARS | st.text()), st.binary())
def test_json_refuses_binary_wherever_it_is(value: Any, data: bytes) -> None:
    for holder in (data, [value, data], {"k": [value, {"d": data}]}, {"v": value, "d": data}):
        with pytest.raises(Error) as caught:
            encode_body(JSON, holder)
        assert caught.value.kind == INVALID


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
@given(body=st.binary())
def test_any_bytes_decode_or_are_invalid(content_type: str, body: bytes) -> None:
    try:
        value = decode_body(content_type, body)
    except Error as problem:
        value = problem
    assert not isinstance(value, Error) or value.kind == INVALID


def test_json_writes_errors_and_payloads_as_json_encode_does() -> None:
    assert encode_body(JSON, [Error("went wrong"), Payload("lua/any", {"n": 1})]) == b'["went wrong",{"n":1}]'


def test_what_no_codec_holds_is_invalid() -> None:
    for codec in (JSON, MSGPACK):
        with pytest.raises(Error) as caught:
            encode_body(codec, {"x": object()})
        assert caught.value.kind == INVALID
