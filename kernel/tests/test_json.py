"""kernel.json_encode and kernel.json_decode, with Python's json as the oracle."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INTERNAL, INVALID, Error
from wippy.sandbox.codec import pack, unpack
from wippy.sandbox.vm import Vm, VmSettings

HARNESS = b"""
local kernel = ...
return {
  encode = function(packed)
    local text, err = kernel.json_encode(kernel.unpack(packed))
    return kernel.pack({ text = text, err = err })
  end,
  decode = function(text)
    local value, err = kernel.json_decode(text)
    return kernel.pack({ ok = err == nil, value = value, err = err })
  end,
  run = function(source)
    local value, err = load("local kernel = ... " .. source)(kernel)
    local text
    if not err then
      text, err = kernel.json_encode(value)
    end
    return kernel.pack({ text = text, err = err })
  end,
  inspect = function(text, source)
    return kernel.pack(load("local value, kernel = ... " .. source)(kernel.json_decode(text), kernel))
  end,
}
"""


class Codec:
    """The two functions of a VM, called from Python."""

    def __init__(self) -> None:
        vm = Vm(VmSettings(clock=time.monotonic, wall_clock=time.time_ns, monotonic=time.monotonic), {})
        self._functions = vm.extend("test", HARNESS)

    def _call(self, name: str, *args: bytes) -> Any:
        function: Callable[..., bytes] = self._functions[name.encode()]
        answer = unpack(function(*args))
        if isinstance(answer, dict) and answer.get("err") is not None:
            raise answer["err"]
        return answer

    def answer(self, data: bytes) -> dict[str, Any]:
        """Decode; returns ok, value and err as Lua gave them."""
        return unpack(self._functions[b"decode"](data))  # type: ignore[no-any-return]

    def encode(self, value: Any) -> str:
        return self._call("encode", pack(value))["text"]  # type: ignore[no-any-return]

    def decode(self, text: str | bytes) -> Any:
        return self._call("decode", text.encode() if isinstance(text, str) else text).get("value")

    def encode_lua(self, source: str) -> str:
        """Encode what a Lua chunk returns."""
        return self._call("run", source.encode())["text"]  # type: ignore[no-any-return]

    def inspect(self, text: str, source: str) -> Any:
        """Decode `text` and return what a Lua chunk says of `value`."""
        return self._call("inspect", text.encode(), source.encode())


CODEC = Codec()

scalars = (
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)


@given(values)
def test_what_lua_encodes_python_reads(value: Any) -> None:
    assert json.loads(CODEC.encode(value)) == value


@given(values, st.sampled_from([None, 2]), st.booleans())
def test_what_python_encodes_lua_decodes(value: Any, indent: int | None, ascii_only: bool) -> None:
    assert CODEC.decode(json.dumps(value, indent=indent, ensure_ascii=ascii_only)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit_of_their_value(value: float) -> None:
    assert CODEC.decode(CODEC.encode(value)) == value


# Malformed text ------------------------------------------------------------------------------------------------------


def refuse(literal: str) -> None:
    raise ValueError(literal)


def whole(text: str) -> int | float:
    number = int(text)
    return number if -(2**63) <= number < 2**63 else float(number)


def finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def normal(value: Any) -> Any:
    """Python's value as ours: half surrogate pairs replaced, members that are null left out."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, dict):
        return {normal(key): normal(item) for key, item in value.items() if item is not None}
    return value


def has_null_items(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_null_items(item) for item in value.values())
    return isinstance(value, list) and any(item is None or has_null_items(item) for item in value)


ALPHABET = st.sampled_from(list('{}[]",:\\/ubfnrt0123456789.eE+- \n\t\x00\x7fadlsuDd8Cé😀'))
seeds = values.map(lambda value: json.dumps(value, ensure_ascii=False)) | st.sampled_from(
    ['{"a": [1, -0.5e3, true, null], "b\\n": {"c": "\\ud83d\\ude00\\u00e9"}}', '[0, 10.25, "x", [], {}]', "-12.5E-3"]
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(seeds)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        removed = draw(st.integers(0, 2))
        text = text[:at] + draw(st.text(ALPHABET, max_size=2)) + text[at + removed :]
    return text


@given(damaged() | st.text(ALPHABET))
def test_damaged_text_is_accepted_exactly_when_python_accepts_it(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=refuse, parse_float=finite, parse_int=whole)
    except (ValueError, OverflowError):
        with pytest.raises(Error):
            CODEC.decode(text)
        return
    decoded = CODEC.decode(text)
    if not has_null_items(expected):
        assert decoded == normal(expected)


@given(st.binary())
def test_any_bytes_give_a_value_or_an_error(data: bytes) -> None:
    answer = CODEC.answer(data)
    assert answer["ok"] or answer["err"].kind == (INTERNAL if data else INVALID)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not valid json", "line 1, column 1: expected a value, found 'n'"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6: expected \":\", found '2'"),
        ('{"a": 1\n', 'line 2, column 1: expected "," or "}", found the end of the text'),
        ('{"a": 1,}', "line 1, column 9: expected a key in double quotes, found '}'"),
        ("[1, 2", 'line 1, column 6: expected "," or "]", found the end of the text'),
        ("[1,]", "line 1, column 4: expected a value, found ']'"),
        ("{} x", "line 1, column 4: expected the end of the text, found 'x'"),
        ('"a\tb"', "line 1, column 3: expected the end of the string, found byte 0x09"),
        ('"\\x"', "line 1, column 3: expected a character that can be escaped, found 'x'"),
        ('"\\u12g4"', "line 1, column 4: expected four hexadecimal digits, found '1'"),
        ("[01]", 'line 1, column 3: expected "," or "]", found \'1\''),
        ("1e999", "line 1, column 1: expected a number that a double can hold, found '1'"),
        ("[é]", "line 1, column 2: expected a value, found 'é'"),
        (" ", "line 1, column 2: expected a value, found the end of the text"),
        ("[" * 1001, "line 1, column 1001: expected at most 1000 levels of nesting, found '['"),
        ('{"\\u0061":' * 1001, "line 1, column 10001: expected at most 1000 levels of nesting, found '{'"),
    ],
)
def test_a_syntax_error_says_where_and_what(text: str, message: str) -> None:
    with pytest.raises(Error) as caught:
        CODEC.decode(text)
    assert caught.value.message == f"json.decode: {message}"
    assert (caught.value.kind, caught.value.retryable) == (INTERNAL, False)


@pytest.mark.parametrize("source", ["''", "nil", "12", "{}", "true"])
def test_decoding_no_text_is_invalid(source: str) -> None:
    with pytest.raises(Error) as caught:
        CODEC.encode_lua(f"return kernel.json_decode({source})")
    assert (caught.value.kind, caught.value.retryable) == (INVALID, False)


# Decoding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "integer"),
        ("-7", "integer"),
        ("1.0", "integer"),
        ("-0", "integer"),
        ("1e3", "integer"),
        ("9007199254740993", "integer"),
        ("-9223372036854775808", "integer"),
        ("1000000000000000000.0", "integer"),
        ("1.5", "float"),
        ("9223372036854775808", "float"),
    ],
)
def test_integral_numbers_are_integers(text: str, expected: str) -> None:
    assert CODEC.inspect(text, "return math.type(value)") == expected
    assert CODEC.inspect(f"[{text}]", "return math.type(value[1])") == expected
    assert CODEC.decode(text) == pytest.approx(float(text))


def test_large_integers_keep_every_digit() -> None:
    assert CODEC.decode("[9007199254740993, 9223372036854775807]") == [9007199254740993, 9223372036854775807]


def test_null_is_nil() -> None:
    assert CODEC.decode("null") is None
    assert CODEC.inspect('{"a": null, "b": 1}', "return value.a == nil and value.b") == 1


def test_the_length_of_an_array_counts_the_nulls_inside() -> None:
    assert CODEC.inspect("[1, null, 3]", "return #value") == 3
    assert CODEC.inspect("[null, null, 3, null, 5]", "return #value") == 5


def test_the_last_of_equal_keys_wins() -> None:
    assert CODEC.decode('{"a": 1, "a": 2}') == {"a": 2}


def test_an_empty_object_stays_an_object() -> None:
    assert CODEC.inspect('{"a": {}, "b": [], "c": {"d": null}}', "return kernel.json_encode(value.a)") == "{}"
    assert CODEC.inspect('{"a": {}, "b": [], "c": {"d": null}}', "return kernel.json_encode(value.b)") == "[]"
    assert CODEC.inspect('{"c": {"d": null}}', "return kernel.json_encode(value.c)") == "{}"
    assert CODEC.inspect("{}", "value.x = 1 return kernel.json_encode(value)") == '{"x":1}'


# Encoding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("return nil", "null"),
        ("return true", "true"),
        ("return 42", "42"),
        ("return 42.0", "42"),
        ("return { 1.0, -0.0, 1e15 }", "[1,0,1000000000000000]"),
        ("return 0.1", "0.1"),
        ("return { 0.1 + 0.2 }", "[0.30000000000000004]"),
        ("return { 1e300, 0 / 0, 1 / 0, -1 / 0 }", "[1e+300,null,null,null]"),
        ("return { math.maxinteger, math.mininteger }", "[9223372036854775807,-9223372036854775808]"),
        ("return 0 / 0", "null"),
        ("return {}", "[]"),
        ("return { a = {} }", '{"a":[]}'),
        ("local t = {} t.x = 1 t[1], t.x = 'a', nil return t", '["a"]'),
        ("local t = {} for i = 3, 1, -1 do t[i] = i end return t", "[1,2,3]"),
        (r"return 'a\n\t\"\\\0\31/é'", r'"a\n\t\"\\\u0000\u001f/é"'),
        (r"return '\xff\xfea\xc3'", '"��a�"'),
        (r"return { ['k\n'] = 1 }", r'{"k\n":1}'),
        ("return kernel.freeze({ a = kernel.freeze({ 1 }) })", '{"a":[1]}'),
        ("return kernel.new_error('broken', 'Invalid')", '"broken"'),
        ("return { err = kernel.new_error('broken') }", '{"err":"broken"}'),
        ("return kernel.new_payload({ a = 1 })", '{"a":1}'),
        ("return { kernel.new_payload('x'), kernel.new_payload(2), kernel.new_payload(true) }", '["x",2,true]'),
        ("return { kernel.new_payload(nil) }", "[null]"),
        ("return kernel.payload_methods", None),
    ],
)
def test_encoding(source: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(Error):
            CODEC.encode_lua(source)
    else:
        assert CODEC.encode_lua(source) == expected


MIXED = "mixed key types in a table (keys must be all strings, or the integers from 1)"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return print", "cannot encode a function"),
        ("return { list = { 1, { f = print } } }", "cannot encode a function at list[2].f"),
        ("return { 1, 2, x = 3 }", MIXED),
        ("return { a = { b = 1, [true] = 2 } }", f"{MIXED} at a"),
        ("return { 1, nil, 3 }", "sparse array (2 of 3 items are there)"),
        ("return { x = { [0] = 1 } }", "sparse array (index 0) at x"),
        ("return { [10] = 1 }", "sparse array (1 of 10 items are there)"),
        ("return { [1.5] = 1 }", MIXED),
        ("local t = { a = {} } t.a.b = t return t", "recursive table reference at a.b"),
        ("local t = { 1, {} } t[2].x = t[2] return t", "recursive table reference at [2].x"),
        ("return { q = kernel.private_class('Queue', {}).new({}) }", "cannot encode a Queue at q"),
        ("return setmetatable({}, kernel.value_class('Time', {}))", "cannot encode a Time"),
    ],
)
def test_what_json_cannot_hold(source: str, message: str) -> None:
    with pytest.raises(Error) as caught:
        CODEC.encode_lua(source)
    assert caught.value.message == f"json.encode: {message}"
    assert (caught.value.kind, caught.value.retryable) == (INTERNAL, False)


def test_128_levels_can_be_encoded_and_no_more() -> None:
    assert CODEC.encode_lua("local t = {} for i = 2, 128 do t = { t } end return t") == "[" * 128 + "]" * 128
    with pytest.raises(Error, match="nesting exceeds 128 levels"):
        CODEC.encode_lua("local t = {} for i = 2, 129 do t = { t } end return t")


def test_a_handle_encodes_as_its_class_says() -> None:
    source = """
      local class = kernel.value_class("Time", {}, { __tojson = function(time) return time[1] end })
      return { at = setmetatable({ "2024-01-01T00:00:00Z" }, class), list = { setmetatable({ { 1 } }, class) } }
    """
    assert json.loads(CODEC.encode_lua(source)) == {"at": "2024-01-01T00:00:00Z", "list": [[1]]}


def test_more_keys_than_are_kept() -> None:
    source = "local t = {} for i = 1, 10000 do t['key' .. i] = i end return t"
    assert json.loads(CODEC.encode_lua(source)) == {f"key{i}": i for i in range(1, 10001)}
