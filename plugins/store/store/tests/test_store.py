"""The Lua module store: what does not depend on the driver (manual page lua/storage/store)."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.app import App
from wippy.errors import Error
from wippy.testing import app_of, function
from wippy_plugin_store import DEFAULT_LIMIT, MOST_LIMIT, Info, Item, KeyValueStore, Page


class PlainStore:
    """A driver without conditions: it keeps bytes and remembers what listings it was asked for."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.limits: list[int] = []

    async def get(self, key: str) -> Item | None:
        return Item(key, self.data[key], "1") if key in self.data else None

    async def put(self, key: str, value: bytes, ttl: float | None = None, **_conditions: Any) -> str:
        self.data[key] = value
        return "1"

    async def delete(self, key: str) -> bool:
        return self.data.pop(key, None) is not None

    async def has(self, key: str) -> bool:
        return key in self.data

    async def list(self, prefix: str = "", after: str = "", limit: int = DEFAULT_LIMIT) -> Page:
        self.limits.append(limit)
        return Page([Item(key, value, "1") for key, value in self.data.items()], "", False)

    def info(self) -> Info:
        return Info(backend="plain", conditional_put=False)


DENY = """
local kernel = ...
local asked = {}
kernel.permit = function(action, resource, attributes)
  asked[#asked + 1] = action .. " " .. resource .. " " .. tostring(attributes and (attributes.key or attributes.prefix))
  if action:find("^store%.key") or action == "store.info" then
    return nil, kernel.new_error("no", "PermissionDenied", false, { asked = table.concat(asked, "; ") })
  end
  return true
end
"""


async def run(body: str, store: KeyValueStore | None = None, chunk: str = "") -> Any:
    source = f"""
        local store = require("store")
        return function()
          local s = assert(store.get("app:store"))
          local function kinds(...)
            local out = {{}}
            for i = 1, select("#", ...) do local _, err = select(i, ...)() out[i] = err and err:kind() or "none" end
            return out
          end
          {body}
        end"""
    async with app_of(function("app:main", source, ["store"])) as app:
        publish(app, store or PlainStore())
        if chunk:
            app.node.extend("test", chunk)
        return await app.call("app:main")


def publish(app: App, store: KeyValueStore) -> None:
    app.resources.put("app:store", store)
    app.resources.put("app:other", object())


def test_a_plain_class_is_a_store() -> None:
    assert isinstance(PlainStore(), KeyValueStore)


async def test_a_store_needs_an_id_that_exists_and_is_one() -> None:
    assert await run("""return kinds(
        function() return store.get("") end,
        function() return store.get(nil) end,
        function() return store.get("app:nothing") end,
        function() return store.get("app:other") end)
    """) == ["Invalid", "Invalid", "NotFound", "Invalid"]


async def test_after_release_every_method_is_invalid() -> None:
    assert await run("""
        assert(s:release() == true)
        local result = kinds(
          function() return s:get("k") end,
          function() return s:set("k", 1) end,
          function() return s:has("k") end,
          function() return s:delete("k") end,
          function() return s:entry("k") end,
          function() return s:put("k", 1) end,
          function() return s:list() end,
          function() return s:info() end)
        return {table.concat(result, " "), s:release(), tostring(s)}
    """) == [" ".join(["Invalid"] * 8), True, "store.Store{released}"]


@pytest.mark.parametrize("key", ["nil", '""', "{}", "true", '"\\255"'])
async def test_a_key_is_text(key: str) -> None:
    assert (
        await run(f"""return kinds(
        function() return s:get({key}) end,
        function() return s:set({key}, 1) end,
        function() return s:has({key}) end,
        function() return s:delete({key}) end)
    """)
        == ["Invalid"] * 4
    )


async def test_a_number_is_a_key_as_it_prints() -> None:
    assert await run('s:set(7, "seven") return {s:get("7"), s:get(7.0)}') == ["seven", "seven"]


@pytest.mark.parametrize("value", ["nil", "print", "coroutine.create(print)", "s"])
async def test_what_cannot_be_stored_is_invalid(value: str) -> None:
    store = PlainStore()
    assert await run(f'return kinds(function() return s:set("k", {value}) end)', store) == ["Invalid"]
    assert store.data == {}


async def test_a_value_inside_itself_is_invalid() -> None:
    assert await run('local t = {} t.t = t return kinds(function() return s:set("k", t) end)') == ["Invalid"]


@pytest.mark.parametrize("ttl", ["-1", '"soon"', "{}", "0/0", "true"])
async def test_a_ttl_is_a_duration(ttl: str) -> None:
    assert await run(f'return kinds(function() return s:set("k", 1, {ttl}) end)') == ["Invalid"]


@pytest.mark.parametrize(
    "options",
    ['"x"', "{if_version = 0}", '{if_version = ""}', "{if_version = -1}", "{if_version = 1.5}", "{if_version = {}}",
     '{if_version = "1", only_if_absent = true}', '{only_if_absent = true}', '{if_version = 1}'],
)  # fmt: skip
async def test_conditions_that_cannot_be_are_invalid(options: str) -> None:
    store = PlainStore()
    assert await run(f'return kinds(function() return s:put("k", 1, {options}) end)', store) == ["Invalid"]
    assert store.data == {}


@pytest.mark.parametrize(
    "options", ['"x"', "{limit = -1}", "{limit = 1.5}", '{limit = "2"}', "{prefix = {}}", "{after = {}}"]
)
async def test_a_listing_that_cannot_be_is_invalid(options: str) -> None:
    assert await run(f"return kinds(function() return s:list({options}) end)") == ["Invalid"]


async def test_a_page_has_a_usual_and_a_greatest_size() -> None:
    store = PlainStore()
    await run("s:list() s:list({}) s:list({limit = 0}) s:list({limit = 7}) s:list({limit = 1e6}) return true", store)
    assert store.limits == [DEFAULT_LIMIT, DEFAULT_LIMIT, DEFAULT_LIMIT, 7, MOST_LIMIT]


async def test_each_method_asks_for_its_permission() -> None:
    assert await run(
        """
        local function asked(_, err) return err:kind() == "PermissionDenied" and err:details().asked end
        local all
        for _, call in ipairs({
          function() return s:get("a") end, function() return s:entry("b") end, function() return s:set("c", 1) end,
          function() return s:put("d", 1) end, function() return s:has("e") end, function() return s:delete("f") end,
          function() return s:list({prefix = "g"}) end, function() return s:info() end,
        }) do all = asked(call()) end
        return all
        """,
        chunk=DENY,
    ) == "; ".join(
        ["store.get app:store nil"]
        + [f"store.key.{action} app:store {key}" for action, key in zip(
            ["get", "get", "set", "set", "has", "delete", "list"], "abcdefg", strict=True)]
        + ["store.info app:store nil"]
    )  # fmt: skip


async def test_a_method_needs_a_store() -> None:
    with pytest.raises(Error, match=r"bad argument #1 to 'get' \(Store expected\)"):
        await run('return s.get({}, "k")')
    with pytest.raises(Error, match=r"bad argument #1 to 'info' \(Store expected\)"):
        await run("return s.info()")


async def test_constants() -> None:
    assert await run("return {store.backend.MEMORY, store.backend.SQL, store.backend.KV_RAFT, store.backend.KV_CRDT,"
                     " store.backend.UNKNOWN}") == ["memory", "sql", "kv.raft", "kv.crdt", "unknown"]  # fmt: skip
    assert await run(
        "local c = store.consistency return {c.LINEARIZABLE, c.EVENTUAL, c.LOCAL, c.UNKNOWN}"
    ) == ["linearizable", "eventual", "local", "unknown"]  # fmt: skip
