"""The Lua module logger."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from wippy.errors import INVALID, Error
from wippy.testing import run_lua


async def records(caplog: pytest.LogCaptureFixture, source: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Run a program; return level, message and the structured part of what it logged."""
    with caplog.at_level(logging.DEBUG, "wippy"):
        await run_lua('local logger = require("logger")\n' + source, modules=["logger"])
    return [
        (record.levelname, record.getMessage(), {k: v for k, v in record.wippy.items() if k != "pid"})
        for record in caplog.records
        if hasattr(record, "wippy")
    ]


async def test_levels_messages_and_fields(caplog: pytest.LogCaptureFixture) -> None:
    source = """logger:debug("a")
    logger:info("b", { user = "ada", n = 2 })
    logger:warn("c", {})
    logger:error("d", { nested = { x = { 1, 2 } } })"""
    entry = {"entry": "test:main"}
    assert await records(caplog, source) == [
        ("DEBUG", "a", {**entry, "location": "test:main:2"}),
        ("INFO", "b", {**entry, "location": "test:main:3", "fields": {"user": "ada", "n": 2}}),
        ("WARNING", "c", {**entry, "location": "test:main:4"}),
        ("ERROR", "d", {**entry, "location": "test:main:5", "fields": {"nested": {"x": [1, 2]}}}),
    ]


async def test_with_adds_fields_and_the_message_has_the_last_word(caplog: pytest.LogCaptureFixture) -> None:
    source = """local child = logger:with({ request = 1, step = "a" })
    child:info("x", { step = "b" })
    child:with({ more = true }):info("y")
    child:info("z")"""
    fields = [record[2]["fields"] for record in await records(caplog, source)]
    assert fields == [
        {"request": 1, "step": "b"},
        {"request": 1, "step": "a", "more": True},
        {"request": 1, "step": "a"},
    ]


async def test_names_are_joined(caplog: pytest.LogCaptureFixture) -> None:
    source = """local auth = logger:named("auth")
    auth:info("x")
    auth:with({ a = 1 }):named("token"):info("y")"""
    assert [record[2]["logger"] for record in await records(caplog, source)] == ["auth", "auth.token"]


async def test_called_without_self(caplog: pytest.LogCaptureFixture) -> None:
    source = """local info = logger.info
    info("x", { a = 1 })
    logger.named("n").info("y")
    setmetatable({}, { __index = logger }):warn("z")"""
    found = await records(caplog, source)
    assert [(message, record.get("fields")) for _, message, record in found] == [
        ("x", {"a": 1}),
        ("y", None),
        ("z", None),
    ]


async def test_anything_can_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    source = """local cycle = {} cycle.cycle = cycle
    logger:error(errors.new("broken"), { err = errors.new("why"), f = print, [1] = "one", p = payload.new({ 1 }) })
    logger:info(nil)
    logger:info(12, "text")
    logger:info("cycle", cycle)
    logger:info("frozen", table.freeze({ a = 1 }))"""
    found = await records(caplog, source)
    assert [message for _, message, _ in found] == ["broken", "nil", "12", "cycle", "frozen"]
    fields = [record.get("fields") for _, _, record in found]
    assert fields[:3] == [{"err": "why", "f": "function", "1": "one", "p": [1]}, None, {"value": "text"}]
    assert "contains itself" in fields[3]["fields_error"]
    assert fields[4] == {"a": 1}


@pytest.mark.parametrize("name", ["''", "nil", "12"])
async def test_a_name_must_be_text(name: str) -> None:
    with pytest.raises(Error) as caught:
        await run_lua(f"return require('logger'):named({name})", modules=["logger"])
    assert (caught.value.kind, caught.value.retryable) == (INVALID, False)


async def test_a_logger_is_a_handle() -> None:
    source = "local l = require('logger'):named('a') return { type(l), tostring(l), pcall(function() l.x = 1 end) }"
    assert (await run_lua(source, modules=["logger"]))[:3] == ["userdata", "logger(a)", False]
