"""The Lua module json, as programs use it. The codec itself is tested in kernel/tests/test_json.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wippy.errors import INTERNAL, INVALID, Error
from wippy.testing import run_lua

USER = """{
  type = "object",
  properties = {
    name = { type = "string", minLength = 1 },
    email = { type = "string", format = "email" },
    tags = { type = "array", items = { type = "string" } },
  },
  required = { "name", "email" },
}"""


async def run(source: str, *args: Any) -> Any:
    return await run_lua('local json = require("json") ' + source, *args, modules=["json"])


async def test_encode_and_decode() -> None:
    order = {"id": "ord-1", "items": [{"sku": "ABC", "qty": 2}], "total": 99.5, "paid": True}
    assert json.loads(await run("return json.encode(...)", order)) == order
    assert await run("return json.decode(...)", json.dumps(order)) == order


async def test_encode_returns_an_error_for_what_json_cannot_hold() -> None:
    with pytest.raises(Error) as caught:
        await run("return json.encode({ 1, 2, x = 3 })")
    assert (caught.value.kind, caught.value.retryable) == (INTERNAL, False)


@pytest.mark.parametrize(
    ("text", "kind"), [("not valid json", INTERNAL), ("", INVALID), (12, INVALID), (None, INVALID)]
)
async def test_decode_returns_an_error(text: Any, kind: str) -> None:
    with pytest.raises(Error) as caught:
        await run("return json.decode(...)", text)
    assert (caught.value.kind, caught.value.retryable) == (kind, False)


async def test_a_result_of_a_call_that_is_a_payload_encodes_as_its_data() -> None:
    assert await run("return json.encode({ result = payload.new({ 1, 2 }), err = errors.new('x') })") in (
        '{"result":[1,2],"err":"x"}',
        '{"err":"x","result":[1,2]}',
    )


async def test_valid_data_passes() -> None:
    assert (
        await run(f'return json.validate({USER}, {{ name = "Ada", email = "ada@example.com", tags = {{}} }})') is True
    )


async def test_invalid_data_fails_with_every_place() -> None:
    answer = await run(
        f"""local valid, err = json.validate({USER}, {{ name = "", email = "no", tags = {{ "a", 7 }} }})
        return {{ valid = valid, message = err:message(), kind = err:kind(), details = err:details(),
          retryable = err:retryable() }}"""
    )
    assert (answer["valid"], answer["kind"], answer["retryable"]) == (False, INVALID, False)
    assert "name: " in answer["message"]
    places = {(error["path"], error["keyword"]) for error in answer["details"]["errors"]}
    assert places == {("name", "minLength"), ("email", "format"), ("tags[2]", "type")}


async def test_a_schema_may_be_json_text() -> None:
    schema = '{"type": "number", "minimum": 0}'
    assert await run("return json.validate(..., 42)", schema) is True
    with pytest.raises(Error, match="minimum"):
        await run("return json.validate(..., -1)", schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("{}", "42"),
        ('{ type = "object", properties = {} }', "{ a = 1 }"),
        ("{ properties = { anything = {} }, additionalProperties = false }", "{ anything = 1 }"),
        ("{ items = { anyOf = { {} } } }", "{ 1 }"),
        ('{ ["$ref"] = "https://json-schema.org/draft/2020-12/schema" }', '{ type = "string" }'),
        ('{ ["$schema"] = "http://json-schema.org/draft-04/schema#", minimum = 1, exclusiveMinimum = true }', "2"),
        ('{ ["$defs"] = { id = { type = "integer" } }, ["$ref"] = "#/$defs/id" }', "3.0"),
        ('{ format = "date-time" }', '"2024-05-01T12:00:00Z"'),
    ],
)
async def test_schemas_as_lua_tables(schema: str, value: str) -> None:
    assert await run(f"return json.validate({schema}, {value})") is True


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("date-time", "2024-05-01"),
        ("date", "yesterday"),
        ("email", "ada"),
        ("hostname", "-a-"),
        ("ipv4", "1.2.3"),
        ("uri", "::"),
        ("uuid", "1"),
    ],
)
async def test_formats_are_checked(name: str, text: str) -> None:
    with pytest.raises(Error, match=f"is not a '{name}'"):
        await run(f'return json.validate({{ format = "{name}" }}, ...)', text)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{ type = "colour" }', "schema: type: "),
        ("'{'", "schema is not JSON"),
        ("'[1]'", "schema must be an object or a boolean"),
        ("12", "schema must be a table or JSON text, got number"),
        ("{ f = print }", "cannot encode a function at f"),
        ('{ ["$ref"] = "http://127.0.0.1:9/schema" }', "cannot be resolved"),
    ],
)
async def test_a_bad_schema_is_invalid(schema: str, message: str) -> None:
    for call in (f"json.validate({schema}, 1)", f"json.validate_string({schema}, '1')"):
        with pytest.raises(Error) as caught:
            await run(f"return {call}")
        assert (caught.value.kind, caught.value.retryable) == (INVALID, False)
        assert message in caught.value.message


async def test_validate_string() -> None:
    assert await run(f"""return json.validate_string({USER}, '{{"name": "Ada", "email": "a@b.c"}}')""") is True
    with pytest.raises(Error, match="'email' is a required property") as caught:
        await run(f"""return json.validate_string({USER}, '{{"name": "Ada"}}')""")
    assert caught.value.kind == INVALID


@pytest.mark.parametrize(("text", "kind"), [("'{'", INTERNAL), ("''", INVALID), ("nil", INVALID), ("{}", INVALID)])
async def test_validate_string_wants_json_text(text: str, kind: str) -> None:
    with pytest.raises(Error) as caught:
        await run(f"return json.validate_string({{}}, {text})")
    assert caught.value.kind == kind


async def test_many_problems_are_counted() -> None:
    with pytest.raises(Error, match="and 15 more"):
        await run(
            "local t = {} for i = 1, 20 do t[i] = 'x' end return json.validate({ items = { type = 'number' } }, t)"
        )


async def test_a_compiled_schema_is_used_again_and_gives_way_to_many_others() -> None:
    source = """
      for i = 1, 300 do
        assert(json.validate({ minimum = i }, i))
        assert(json.validate({ type = "integer" }, i))
        assert(not json.validate({ minimum = i }, i - 1))
      end
      return true"""
    assert await run(source) is True
