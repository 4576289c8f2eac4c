"""The Lua module env."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.errors import INVALID, NOT_FOUND, PERMISSION_DENIED, Error
from wippy.registry.entry import Entry
from wippy.testing import app_of, function, run_lua

ENTRIES = [
    Entry("app:memory", "env.storage.memory"),
    Entry("app:port", "env.variable", data={"variable": "PORT", "storage": "memory", "default": "8080"}),
    Entry("app:host", "env.variable", data={"variable": "HOST", "storage": "memory"}),
    Entry("app:secret", "env.variable", data={"storage": "memory", "default": "hidden"}),
    Entry("app:token", "env.variable", data={"variable": "TOKEN", "storage": "memory", "default": "t"}),
]


async def lua(source: str) -> Any:
    return await run_lua('local env = require("env")\n' + source, modules=["env"], entries=ENTRIES)


async def test_get_set_get_all():
    assert await lua("""
        local before = env.get_all()
        local ok = env.set("HOST", "example.com")
        env.set("PORT", 9090)
        return {before, ok, env.get("HOST"), env.get("PORT"), env.get("app:secret"), env.get_all()}
        """) == [
        {"PORT": "8080", "TOKEN": "t"},
        True,
        "example.com",
        "9090",
        "hidden",
        {"PORT": "9090", "HOST": "example.com", "TOKEN": "t"},
    ]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ('env.get("")', INVALID),
        ("env.get()", INVALID),
        ('env.get("NOTHING")', NOT_FOUND),
        ('env.get("HOST")', NOT_FOUND),
        ('env.get("\\xff")', INVALID),
        ('env.set("", "x")', INVALID),
        ('env.set("PORT")', INVALID),
        ('env.set("PORT", {})', INVALID),
        ('env.set("PORT", "\\xff")', INVALID),
        ('env.set("NOTHING", "x")', NOT_FOUND),
    ],
)
async def test_errors(call: str, kind: str):
    with pytest.raises(Error) as caught:
        await lua(f"return {call}")
    assert (caught.value.kind, caught.value.retryable) == (kind, False)


async def test_an_app_without_variables():
    assert await run_lua('return require("env").get_all()', modules=["env"]) == {}


DENY = """
local kernel = ...
function kernel.permit(action, name)
  if action == "env.get" and name == "PORT" then
    return true
  end
  return nil, kernel.new_error("denied: " .. action .. " " .. name, "PermissionDenied", false)
end
"""


async def test_permissions():
    main = function(
        "test:main",
        """return function()
          local env = require("env")
          local _, get = env.get("TOKEN")
          local _, set = env.set("PORT", "1")
          return {env.get("PORT"), get:kind(), set:message(), env.get_all()}
        end""",
        ["env"],
    )
    async with app_of(main, *ENTRIES) as app:
        app.node.extend("deny", DENY)
        assert await app.call("test:main") == ["8080", PERMISSION_DENIED, "denied: env.set PORT", {"PORT": "8080"}]
