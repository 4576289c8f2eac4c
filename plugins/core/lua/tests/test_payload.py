"""The global payload."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INTERNAL, Error
from wippy.registry.document import Document
from wippy.testing import app_of, function, run_lua
from wippy_plugin_lua.payload_commands import encode_yaml

FORMATS = {
    "JSON": "json/plain",
    "YAML": "yaml/plain",
    "STRING": "text/plain",
    "GOLANG": "golang/any",
    "LUA": "lua/any",
    "BYTES": "application/octet-stream",
    "MSGPACK": "application/msgpack",
    "ERROR": "golang/error",
}
VALUE = {"name": "test", "value": 123, "list": [1, 2.5, "x"], "on": True, "none": [], "map": {"k": "é"}}


async def test_format_constants() -> None:
    assert await run_lua("local f = {} for k, v in pairs(payload.format) do f[k] = v end return f") == FORMATS


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("{ 1 }", "LUA"),
        ("'text'", "LUA"),
        ("4.5", "LUA"),
        ("true", "LUA"),
        ("nil", "LUA"),
        ("errors.new('x')", "ERROR"),
    ],
)
async def test_new(value: str, name: str) -> None:
    source = f"local p = payload.new({value}) return {{ p:get_format(), type(p), tostring(p) }}"
    assert await run_lua(source) == [FORMATS[name], "userdata", f"payload({FORMATS[name]})"]


async def test_data() -> None:
    assert await run_lua("return payload.new(...):data()", VALUE) == VALUE
    assert await run_lua("return payload.new(nil):data() == nil") is True
    assert await run_lua("return payload.new(false):data()") is False
    assert await run_lua("local p = payload.new('x') return payload.new(p):data()") == "x"


async def test_a_table_can_be_read_through_the_payload() -> None:
    source = """local p = payload.new({ "a", "b", on = false, x = 1 })
    local n = 0 for _ in pairs(p) do n = n + 1 end
    return { #p, p[1], p.x, n, p.on, p.missing == nil }"""
    assert await run_lua(source) == [2, "a", 1, 4, False, True]


@pytest.mark.parametrize("name", ["JSON", "YAML", "MSGPACK", "LUA", "GOLANG"])
async def test_there_and_back(name: str) -> None:
    source = f"""local p = assert(payload.new(...):transcode(payload.format.{name}))
    return {{ p:get_format(), (assert(p:unmarshal())) }}"""
    assert await run_lua(source, VALUE) == [FORMATS[name], VALUE]


async def test_what_encoded_payloads_hold() -> None:
    source = "local p = payload.new(...):transcode(payload.format.{}) return p:data()"
    assert json.loads(await run_lua(source.format("JSON"), VALUE)) == VALUE
    assert yaml.safe_load(await run_lua(source.format("YAML"), VALUE)) == VALUE
    assert msgspec.msgpack.decode(await run_lua(source.format("MSGPACK"), VALUE)) == VALUE


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        ("'hello'", "STRING", "hello"),
        ("'hello'", "JSON", '"hello"'),
        ("'hello'", "BYTES", "hello"),
        ("4.0", "STRING", "4"),
        ("true", "BYTES", "true"),
        ("{ a = 1 }", "STRING", '{"a":1}'),
        ("nil", "JSON", "null"),
        ("errors.new('x')", "STRING", '"x"'),
        ("errors.new('x')", "JSON", '"x"'),
        ("nil", "YAML", "null\n"),
    ],
)
async def test_transcoding(value: str, target: str, expected: str) -> None:
    assert await run_lua(f"return payload.new({value}):transcode(payload.format.{target}):data()") == expected


async def test_text_keeps_its_encoding_on_the_way_to_text_and_bytes() -> None:
    source = """local f = payload.format
    local text = payload.new({ a = 1 }):transcode(f.JSON)
    local bytes = text:transcode(f.BYTES)
    return { bytes:data(), bytes:get_format(), bytes:transcode(f.STRING):data(), text:transcode(f.YAML):data() }"""
    assert await run_lua(source) == ['{"a":1}', FORMATS["BYTES"], '{"a":1}', "a: 1\n"]


async def test_errors() -> None:
    source = """local f = payload.format
    local e = payload.new("gone"):transcode(f.ERROR)
    return { type(e:data()), e:data():message(), payload.new(errors.new("y")):unmarshal():message() }"""
    assert await run_lua(source) == ["userdata", "gone", "y"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("payload.new({ 1, x = 2 }):transcode(payload.format.JSON)", "mixed key types"),
        ("payload.new(print):transcode(payload.format.JSON)", "cannot encode a function"),
        ("payload.new({ 1, x = 2 }):transcode(payload.format.YAML)", "mixed key types"),
        ("payload.new({}):transcode('text/html')", "unknown format text/html"),
        ("payload.new({}):transcode()", "unknown format nil"),
        ("payload.new({}):transcode(payload.format.ERROR)", "only text becomes an error"),
        ("payload.new(nil):transcode(payload.format.STRING)", "nil has no text"),
        ("cyclic():transcode(payload.format.MSGPACK)", "contains itself"),
    ],
)
async def test_a_failure_is_internal(expression: str, message: str) -> None:
    source = "local function cyclic() local t = {} t.t = t return payload.new(t) end return " + expression
    with pytest.raises(Error, match=message) as caught:
        await run_lua(source)
    assert caught.value.message.startswith("payload: ")
    assert (caught.value.kind, caught.value.retryable) == (INTERNAL, False)


@pytest.mark.parametrize("method", ["data", "get_format", "unmarshal", "transcode"])
async def test_methods_want_a_payload(method: str) -> None:
    problem = await run_lua(f"return select(2, pcall(payload.new(1).{method}, {{}}))")
    assert f"bad argument #1 to '{method}' (Payload expected, got table)" in problem


async def test_a_payload_crosses_a_call() -> None:
    inner = function("app:inner", "return function(p) return p:transcode(payload.format.JSON) end")
    outer = function(
        "app:outer", "return function() return funcs.call('app:inner', payload.new({ 1 })):unmarshal()[1] end"
    )
    async with app_of(inner, outer) as app:
        assert await app.call("app:outer") == 1


@pytest.mark.parametrize("text", ["a: [1", "a: 1\na: 2", "\tx: 1"])
async def test_malformed_yaml_from_outside(text: str) -> None:
    inner = function("app:inner", "return function(p) return p:unmarshal() end")
    async with app_of(inner) as app:
        from wippy.sandbox.codec import Payload

        with pytest.raises(Error, match="payload: cannot decode yaml/plain: payload:") as caught:
            await app.call("app:inner", Payload(FORMATS["YAML"], text))
        assert caught.value.kind == INTERNAL


@pytest.mark.parametrize(("name", "data"), [("JSON", "{"), ("MSGPACK", b"\xc1"), ("MSGPACK", b"\x92\x01")])
async def test_malformed_data_from_outside(name: str, data: Any) -> None:
    from wippy.sandbox.codec import Payload

    async with app_of(function("app:inner", "return function(p) return p:unmarshal() end")) as app:
        with pytest.raises(Error, match=f"payload: cannot decode {FORMATS[name]}") as caught:
            await app.call("app:inner", Payload(FORMATS[name], data))
        assert (caught.value.kind, caught.value.retryable) == (INTERNAL, False)


YAML_TEXT = (
    st.text()
    | st.from_regex(r"[-+]?0?[xob]?[0-9_.eE:]{1,6}", fullmatch=True)
    | st.sampled_from(
        [
            "",
            "~",
            "null",
            "yes",
            "no",
            "on",
            "True",
            ".inf",
            "1e5",
            "0o17",
            "017",
            "2024-01-01",
            "a: b",
            "- x",
            "#",
            "...",
            "---",
        ]
    )
)


@given(
    st.recursive(
        YAML_TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
        lambda v: st.lists(v) | st.dictionaries(YAML_TEXT, v),
    )
)
async def test_what_is_written_as_yaml_reads_back(value: Any) -> None:
    text = await encode_yaml(None, json.dumps(value))  # type: ignore[arg-type]
    document = Document(text, "test")
    assert document.value(document.root) == value
