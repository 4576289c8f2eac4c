"""The conformance kit for store drivers.

A driver's tests subclass `StoreConformance` and say how to make its store; pytest needs `asyncio_mode = "auto"`:

    class TestMine(StoreConformance):
        def entries(self):
            return [Entry("app:store", "store.mine", data={...})]
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from wippy.app import App
from wippy.errors import ALREADY_EXISTS, CONFLICT, INVALID, NOT_FOUND, Error
from wippy.registry.entry import Entry
from wippy.scheduler.clock import sleep
from wippy.testing import app_of, function
from wippy_plugin_store.protocol import KeyValueStore, decode_value, encode_value

__all__ = ["StoreConformance"]

STORE = "app:store"

#: Every kind of value that a program may store.
VALUES = [
    "text",
    "",
    0,
    -7,
    2**53 + 1,
    1.5,
    True,
    False,
    b"\xff\x00",
    [1, "two", [3]],
    [],
    {"a": {"b": [1, 2]}, "c": False},
    {},
]


class StoreConformance:
    """What every store does, seen through the protocol and through Lua. The store starts empty in each test."""

    #: Whether the store's expiry follows the App's clock; then no time passes in the tests.
    virtual: ClassVar[bool] = True
    #: Seconds to live in the tests of expiry, and those after which an item must be gone.
    ttl: ClassVar[float] = 5.0
    gone: ClassVar[float] = 5.5

    def entries(self) -> Iterable[Entry]:
        """Return the entries of an App whose store has the id `app:store`."""
        raise NotImplementedError

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[App, KeyValueStore]]:
        async with app_of(*self.entries(), virtual=self.virtual) as app:
            yield app, app.resources.get(STORE, KeyValueStore)  # type: ignore[type-abstract]

    async def lua(self, body: str) -> Any:
        """Run Lua lines that see the module as `store` and the store as `s`; returns their value."""
        source = f"""
            local store, time = require("store"), require("time")
            return function()
              local s = assert(store.get("{STORE}"))
              {body}
            end"""
        main = function("app:main", source, ["store", "time"])
        async with app_of(main, *self.entries(), virtual=self.virtual) as app:
            return await app.call("app:main")

    # The protocol ---------------------------------------------------------------------------------------------------

    async def test_bytes_come_back_as_they_were(self) -> None:
        async with self.store() as (_, store):
            for value in (b"", b"\x00", b"text", bytes(range(256)), b"x" * 100_000):
                await store.put("key", value)
                item = await store.get("key")
                assert item is not None
                assert (item.key, item.value) == ("key", value)

    async def test_what_is_missing_is_none_and_false(self) -> None:
        async with self.store() as (_, store):
            assert await store.get("nothing") is None
            assert not await store.has("nothing")
            assert not await store.delete("nothing")

    async def test_delete_removes(self) -> None:
        async with self.store() as (_, store):
            await store.put("key", b"1")
            assert await store.has("key")
            assert await store.delete("key")
            assert not await store.has("key")
            assert await store.get("key") is None

    @pytest.mark.parametrize("key", ["a b", "ns:name/x.y", "ключ", "😀", "%_*'\"", "k" * 250])
    async def test_keys_are_any_text(self, key: str) -> None:
        async with self.store() as (_, store):
            await store.put(key, b"1")
            assert [item.key for item in (await store.list()).items] == [key]
            assert await store.delete(key)

    async def test_what_expired_is_gone(self) -> None:
        async with self.store() as (app, store):
            await store.put("short", b"1", self.ttl)
            await store.put("long", b"2", self.ttl * 100)
            await store.put("ever", b"3")
            assert await store.has("short")
            await sleep(app.clock, self.gone)
            assert await store.get("short") is None
            assert not await store.has("short")
            assert not await store.delete("short")
            assert [item.key for item in (await store.list()).items] == ["ever", "long"]

    async def test_a_write_replaces_the_time_to_live(self) -> None:
        async with self.store() as (app, store):
            await store.put("kept", b"1", self.ttl)
            await store.put("kept", b"2")
            await store.put("shortened", b"1")
            await store.put("shortened", b"2", self.ttl)
            await sleep(app.clock, self.gone)
            assert await store.has("kept")
            assert not await store.has("shortened")

    async def test_listing_is_in_key_order_and_pages(self) -> None:
        async with self.store() as (_, store):
            keys = ["B", "a", "a:1", "a:10", "a:2", "b", "é"]
            for key in reversed(keys):
                await store.put(key, key.encode())
            seen: list[str] = []
            after = ""
            while True:
                page = await store.list("", after, 2)
                assert len(page.items) <= 2
                assert all(item.value == item.key.encode() for item in page.items)
                seen += [item.key for item in page.items]
                if not page.has_more:
                    break
                after = page.cursor
            assert seen == keys
            assert [item.key for item in (await store.list("a:")).items] == ["a:1", "a:10", "a:2"]
            assert (await store.list("zzz")).items == []

    async def test_a_cursor_outlives_its_key(self) -> None:
        async with self.store() as (_, store):
            for key in "abcd":
                await store.put(key, b"1")
            page = await store.list("", "", 2)
            await store.delete("b")
            assert [item.key for item in (await store.list("", page.cursor)).items] == ["c", "d"]

    async def test_versions_change_with_every_write(self) -> None:
        async with self.store() as (_, store):
            if not store.info().versioned:
                pytest.skip("the store has no versions")
            first = await store.put("key", b"1")
            second = await store.put("key", b"1")
            assert first
            assert first != second
            item = await store.get("key")
            assert item is not None
            assert item.version == second
            assert (await store.list()).items[0].version == second

    async def test_only_if_absent(self) -> None:
        async with self.store() as (app, store):
            if not store.info().conditional_put:
                pytest.skip("the store has no conditional writes")
            await store.put("key", b"1", self.ttl, only_if_absent=True)
            with pytest.raises(Error) as caught:
                await store.put("key", b"2", only_if_absent=True)
            assert (caught.value.kind, caught.value.retryable) == (ALREADY_EXISTS, False)
            await sleep(app.clock, self.gone)
            await store.put("key", b"3", only_if_absent=True)
            await store.delete("key")
            await store.put("key", b"4", only_if_absent=True)

    async def test_if_version(self) -> None:
        async with self.store() as (_, store):
            if not store.info().conditional_put:
                pytest.skip("the store has no conditional writes")
            old = await store.put("key", b"1")
            new = await store.put("key", b"2", if_version=old)
            with pytest.raises(Error) as caught:
                await store.put("key", b"3", if_version=old)
            assert (caught.value.kind, caught.value.retryable) == (CONFLICT, True)
            await store.put("key", b"3", if_version=new)
            with pytest.raises(Error) as caught:
                await store.put("missing", b"1", if_version=new)
            assert caught.value.kind == CONFLICT
            item = await store.get("key")
            assert item is not None
            assert item.value == b"3"

    async def test_python_and_lua_see_the_same_values(self) -> None:
        source = 'local s = require("store").get("app:store") return function() s:set("b", s:get("a")) return true end'
        async with app_of(function("app:main", source, ["store"]), *self.entries(), virtual=self.virtual) as app:
            store = app.resources.get(STORE, KeyValueStore)  # type: ignore[type-abstract]
            for value in VALUES:
                await store.put("a", encode_value(value))
                await app.call("app:main")
                item = await store.get("b")
                assert item is not None
                assert decode_value(item.value) == value

    # Lua ------------------------------------------------------------------------------------------------------------

    async def test_lua_set_and_get(self) -> None:
        assert await self.lua("""
            assert(s:set("user", {name = "Alice", tags = {"a", "b"}}) == true)
            assert(s:set("flag", false) == true)
            local user = s:get("user")
            return {user.name, user.tags[2], s:get("flag"), tostring(s), type(s)}
        """) == ["Alice", "b", False, "store.Store{}", "userdata"]

    async def test_lua_values_are_copies(self) -> None:
        assert (
            await self.lua("""
            local value = {n = 1}
            s:set("key", value)
            value.n = 2
            s:get("key").n = 3
            return s:get("key").n
        """)
            == 1
        )

    async def test_lua_missing(self) -> None:
        assert await self.lua("""
            local value, err = s:get("nothing")
            local entry, problem = s:entry("nothing")
            local there, none = s:has("nothing")
            local deleted, nope = s:delete("nothing")
            return {value == nil, err:kind(), entry == nil, problem:kind(), there, none == nil, deleted, nope == nil}
        """) == [True, NOT_FOUND, True, NOT_FOUND, False, True, False, True]

    async def test_lua_has_and_delete(self) -> None:
        assert await self.lua("""
            s:set("key", 1)
            return {s:has("key"), (s:delete("key")), s:has("key")}
        """) == [True, True, False]

    async def test_lua_time_to_live(self) -> None:
        assert await self.lua(f"""
            s:set("short", 1, {self.ttl})
            s:set("text", 1, "{self.ttl}s")
            s:set("zero", 1, 0)
            s:put("put", 1, {{ttl = {self.ttl}}})
            time.sleep("{self.gone}s")
            return {{s:has("short"), s:has("text"), s:has("zero"), s:has("put")}}
        """) == [False, False, True, False]

    async def test_lua_entry_and_put(self) -> None:
        assert await self.lua("""
            local put = assert(s:put("key", {n = 1}))
            local entry = s:entry("key")
            return {put.key, put.value.n, put.version == entry.version, type(entry.version), entry.key, entry.value.n}
        """) == ["key", 1, True, "string", "key", 1]

    async def test_lua_conditional_put(self) -> None:
        result = await self.lua("""
            if not s:info().conditional_put then
              local _, err = s:put("key", 1, {only_if_absent = true})
              return {err:kind()}
            end
            local first = assert(s:put("key", 1, {only_if_absent = true}))
            local _, exists = s:put("key", 2, {only_if_absent = true})
            local second = assert(s:put("key", 2, {if_version = first.version}))
            local _, conflict = s:put("key", 3, {if_version = first.version})
            local _, both = s:put("key", 3, {if_version = second.version, only_if_absent = true})
            return {exists:kind(), exists:retryable(), conflict:kind(), conflict:retryable(), both:kind(), s:get("key")}
        """)
        assert result in ([ALREADY_EXISTS, False, CONFLICT, True, INVALID, 2], [INVALID])

    async def test_lua_list(self) -> None:
        assert await self.lua("""
            for _, key in ipairs({"s:3", "s:1", "t", "s:2"}) do s:set(key, {key = key}) end
            local first = assert(s:list({prefix = "s:", limit = 2}))
            local second = assert(s:list({prefix = "s:", after = first.cursor}))
            local keys = {}
            for _, page in ipairs({first, second}) do
              for _, e in ipairs(page.items) do
                assert(e.value.key == e.key and type(e.version) == "string")
                keys[#keys + 1] = e.key
              end
            end
            return {table.concat(keys, " "), first.has_more, second.has_more, #s:list().items, #s:list({prefix = "x"}).items}
        """) == ["s:1 s:2 s:3", True, False, 4, 0]

    async def test_lua_info(self) -> None:
        info = await self.lua("return s:info()")
        assert info["id"] == STORE
        assert isinstance(info["backend"], str)
        assert isinstance(info["consistency"], str)
        assert all(isinstance(info[name], bool) for name in ("durable", "list", "versioned", "conditional_put", "ttl"))
