"""The global errors, and Error objects as programs see them."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.errors import KINDS, Error
from wippy.testing import app_of, function, run_lua

FIELDS = "message = e:message(), kind = e:kind(), retryable = e:retryable(), details = e:details()"


async def fields(expression: str) -> dict[str, Any]:
    return await run_lua(f"local e = {expression} return {{ {FIELDS} }}")  # type: ignore[no-any-return]


async def test_every_kind_has_a_constant() -> None:
    names = ", ".join(f"{name} = errors.{name}" for name in KINDS)
    assert await run_lua(f"return {{ {names} }}") == KINDS


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("errors.new('went wrong')", {"message": "went wrong", "kind": ""}),
        ("errors.new(12)", {"message": "12", "kind": ""}),
        ("errors.new(errors.NOT_FOUND, 'no user')", {"message": "no user", "kind": "NotFound"}),
        ("errors.new('PERMISSION_DENIED', 'no')", {"message": "no", "kind": "PermissionDenied"}),
        ("errors.new('OutOfStock', 'none left')", {"message": "none left", "kind": "OutOfStock"}),
        ("errors.new(errors.INVALID, errors.new('inner'))", {"message": "inner", "kind": "Invalid"}),
        ("errors.new({ message = 'x' })", {"message": "x", "kind": ""}),
        (
            "errors.new({ message = 'x', kind = 'TIMEOUT', retryable = false, details = { user = { 1, 2 } } })",
            {"message": "x", "kind": "Timeout", "retryable": False, "details": {"user": [1, 2]}},
        ),
        (
            "errors.new({ message = 'x', retryable = true, details = {} })",
            {"message": "x", "kind": "", "retryable": True},
        ),
        ("errors.new(table.freeze({ message = 'x', kind = 'Invalid' }))", {"message": "x", "kind": "Invalid"}),
        (
            "errors.new(errors.new({ message = 'x', kind = 'Conflict', retryable = true }))",
            {"message": "x", "kind": "Conflict", "retryable": True},
        ),
    ],
)
async def test_new(expression: str, expected: dict[str, Any]) -> None:
    assert await fields(expression) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("errors.new()", "bad argument #1 to 'new' (string expected, got nil)"),
        ("errors.new(print)", "bad argument #1 to 'new' (string expected, got function)"),
        ("errors.new({})", "bad argument #1 to 'new' (field 'message' must be a string, got nil)"),
        ("errors.new({ message = 'x', kind = 1 })", "field 'kind' must be a string, got number"),
        ("errors.new({ message = 'x', retryable = 'no' })", "field 'retryable' must be a boolean, got string"),
        ("errors.new({ message = 'x', details = 'no' })", "field 'details' must be a table, got string"),
        ("errors.new('Invalid', {})", "bad argument #2 to 'new' (string expected, got table)"),
        ("errors.wrap(errors.new('x'), {})", "bad argument #2 to 'wrap' (string expected, got table)"),
        ("errors.new('x').message()", "bad argument #1 to 'message' (Error expected)"),
    ],
)
async def test_misuse_is_raised_at_the_callers_line(call: str, message: str) -> None:
    problem = await run_lua(f"return select(2, pcall(function()\n local e = {call} return e end))")
    assert problem.startswith("test:main:2: ")
    assert message in problem


async def test_details_are_the_errors_own() -> None:
    source = "local d = { n = 1 } local e = errors.new({ message = 'x', details = d }) d.n = 2 return e:details().n"
    assert await run_lua(source) == 1


async def test_an_error_is_a_handle_that_reads_as_its_message() -> None:
    source = """local e = errors.new(errors.INVALID, "Bad")
    return { type(e), tostring(e), "<" .. e .. ">", e .. "!", #e, string.lower(e), ("%s"):format(e),
      getmetatable(e) == nil, pcall(function() e.message = 1 end) }"""
    assert (await run_lua(source))[:9] == ["userdata", "Bad", "<Bad>", "Bad!", 3, "bad", "Bad", True, False]


async def test_wrap_keeps_everything_and_shows_the_context_in_the_stack() -> None:
    source = (
        """local e = errors.wrap(errors.wrap(errors.new({
      message = "no rows", kind = errors.NOT_FOUND, retryable = false, details = { id = 7 },
    }), "loading user"), "handling request")
    return { """
        + FIELDS
        + ", text = tostring(e), stack = e:stack() }"
    )
    wrapped = await run_lua(source)
    stack = wrapped.pop("stack").splitlines()
    assert wrapped == {
        "message": "no rows",
        "kind": "NotFound",
        "retryable": False,
        "details": {"id": 7},
        "text": "no rows",
    }
    assert stack[:3] == ["handling request", "loading user", "stack traceback:"]


async def test_wrap_of_text_and_of_nothing() -> None:
    assert await fields("errors.wrap('plain', 'context')") == {"message": "plain", "kind": ""}
    assert await run_lua("return errors.wrap(nil, 'context') == nil") is True


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("errors.is(errors.new(errors.INVALID, 'x'), errors.INVALID)", True),
        ("errors.is(errors.new(errors.INVALID, 'x'), 'INVALID')", True),
        ("errors.is(errors.new(errors.INVALID, 'x'), errors.NOT_FOUND)", False),
        ("errors.is(errors.new('x'), errors.UNKNOWN)", True),
        ("errors.is(errors.wrap(errors.new(errors.TIMEOUT, 'x'), 'y'), errors.TIMEOUT)", True),
        ("errors.is(nil, errors.UNKNOWN)", False),
        ("errors.is('Invalid', errors.INVALID)", False),
        ("errors.is({}, errors.INVALID)", False),
    ],
)
async def test_is(call: str, expected: bool) -> None:
    assert await run_lua(f"return {call}") is expected


async def test_the_stack_names_the_programs_own_lines() -> None:
    stack = await run_lua(
        "local function fail()\n local e = errors.new('x')\n return e\nend\nlocal e = fail()\nreturn e:stack()"
    )
    assert "test:main:2: in upvalue 'fail'" in stack or "test:main:2: in local 'fail'" in stack
    assert "test:main:5:" in stack
    assert "[kernel]" not in stack


async def test_call_stack_of_an_error_and_of_here() -> None:
    source = """local function fail()
      local e, here = errors.new("x"), errors.call_stack()
      return e, here
    end
    local e, here = fail()
    return { e = errors.call_stack(e), here = here }"""
    answer = await run_lua(source)
    for stack in answer.values():
        assert stack["thread"] == "main"
        assert [(f["level"], f["source"], f["line"], f["type"]) for f in stack["frames"][:2]] == [
            (0, "test:main", 2, "Lua"),
            (1, "test:main", 5, "Lua"),
        ]
        assert stack["frames"][0]["name"] == "fail"


async def test_call_stack_in_a_coroutine() -> None:
    source = """local done = channel.new()
    coroutine.spawn(function() done:send(errors.call_stack().thread) end)
    return (done:receive())"""
    assert await run_lua(source) == "coroutine"


async def test_call_stack_of_what_has_none() -> None:
    assert await run_lua("return { errors.call_stack('x') == nil, errors.call_stack({}) == nil }") == [True, True]


async def test_an_error_survives_a_call() -> None:
    source = """return function()
      return nil, errors.new({ message = "gone", kind = errors.NOT_FOUND, retryable = true, details = { id = 1 } })
    end"""
    outer = f"return function() local _, e = funcs.call('app:inner') return {{ {FIELDS} }} end"
    async with app_of(function("app:inner", source), function("app:outer", outer)) as app:
        expected = {"message": "gone", "kind": "NotFound", "retryable": True, "details": {"id": 1}}
        assert await app.call("app:outer") == expected
        with pytest.raises(Error) as caught:
            await app.call("app:inner")
        assert (caught.value.kind, caught.value.retryable, caught.value.details) == ("NotFound", True, {"id": 1})
