"""The Lua module ctx."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.testing import app_of, function, run_lua


async def run(source: str, context: dict[str, Any] | None = None) -> Any:
    return await run_lua('local ctx = require("ctx") ' + source, modules=["ctx"], context=context)


async def test_get_and_all() -> None:
    context = {"user": "ada", "flags": {"beta": False}, "off": False}
    assert await run("return ctx.get('user')", context) == "ada"
    assert await run("return ctx.get('flags').beta", context) is False
    assert await run("return ctx.get('off')", context) is False
    assert await run("return ctx.all()", context) == context


@pytest.mark.parametrize("context", [None, {}])
async def test_all_is_an_empty_table_without_values(context: dict[str, Any] | None) -> None:
    assert await run("return next(ctx.all()) == nil", context) is True


@pytest.mark.parametrize(
    ("key", "kind"), [("'missing'", NOT_FOUND), ("''", INVALID), ("nil", INVALID), ("{}", INVALID)]
)
async def test_a_key_without_a_value(key: str, kind: str) -> None:
    for context in (None, {"user": "ada"}):
        with pytest.raises(Error, match=r"^ctx\.get") as caught:
            await run(f"return ctx.get({key})", context)
        assert (caught.value.kind, caught.value.retryable) == (kind, False)


async def test_values_reach_the_functions_that_are_called() -> None:
    inner = function("app:inner", "return function() return require('ctx').all() end", modules=["ctx"])
    outer = function("app:outer", "return function() return funcs.new():with_context({ b = 2 }):call('app:inner') end")
    async with app_of(inner, outer) as app:
        assert await app.call("app:outer", context={"a": 1}) == {"a": 1, "b": 2}


async def test_what_get_returns_is_the_receivers_own() -> None:
    inner = function(
        "app:inner",
        "return function() local t = require('ctx').get('t') t.n = t.n + 1 require('ctx').all().t.n = 9 return t.n end",
        modules=["ctx"],
    )
    outer = function("app:outer", "return function() funcs.call('app:inner') return funcs.call('app:inner') end")
    async with app_of(inner, outer) as app:
        assert await app.call("app:outer", context={"t": {"n": 1}}) == 2
