"""The kind store.memory (manual page system/store; reference, row "store")."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.errors import INVALID, RATE_LIMITED, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.scheduler.clock import VirtualClock
from wippy.testing import app_at, app_of, function
from wippy_plugin_store import KeyValueStore
from wippy_plugin_store_memory import MemoryStore


def store_entry(**data: Any) -> Entry:
    return Entry("app:store", "store.memory", data=data)


async def run(body: str, **data: Any) -> Any:
    source = f'local s = require("store").get("app:store") local time = require("time") return function() {body} end'
    async with app_of(function("app:main", source, ["store", "time"]), store_entry(**data)) as app:
        return await app.call("app:main")


async def test_a_full_store_refuses_new_keys_by_name_and_limit() -> None:
    kind, message, retryable, old = await run(
        """
        s:set("a", 1) s:set("b", 1)
        local _, err = s:set("c", 1)
        return {err:kind(), err:message(), err:retryable(), s:set("a", 2)}
        """,
        max_size=2,
    )
    assert (kind, retryable, old) == (RATE_LIMITED, True, True)
    assert "app:store" in message
    assert "max_size" in message


async def test_what_expired_makes_room_before_it_is_swept() -> None:
    assert await run(
        """
        s:set("a", 1, 10) s:set("b", 1)
        time.sleep("10s")
        return {(s:set("c", 1)), s:has("a")}
        """,
        max_size=2,
        cleanup_interval="1h",
    ) == [True, False]


async def test_versions_count_the_writes_of_a_store() -> None:
    assert await run(
        'return {s:put("a", 1).version, s:put("b", 1).version, s:put("a", 1, {if_version = 1}).version}'
    ) == ["1", "2", "3"]


async def test_info() -> None:
    assert await run("return s:info()") == {
        "id": "app:store", "backend": "memory", "consistency": "local", "durable": False, "list": True,
        "versioned": True, "conditional_put": True, "ttl": True,
    }  # fmt: skip


async def test_a_max_size_of_zero_is_the_default_and_a_negative_one_is_refused() -> None:
    assert await run('return (s:set("a", 1))', max_size=0)
    with pytest.raises(Error, match=r"app:store.*max_size") as caught:
        await run("return 1", max_size=-1)
    assert caught.value.kind == INVALID


async def test_a_changed_entry_keeps_its_data_and_gets_its_limits() -> None:
    async with app_of(store_entry(lifecycle={"auto_start": True})) as app:
        store = app.resources.get("app:store", KeyValueStore)  # type: ignore[type-abstract]
        await store.put("a", b"1")
        smaller = store_entry(max_size=1, lifecycle={"auto_start": True})
        await app.registry.apply([Operation(Op.UPDATE, smaller, store_entry())])
        store = app.resources.get("app:store", KeyValueStore)  # type: ignore[type-abstract]
        assert await store.has("a")
        with pytest.raises(Error):
            await store.put("b", b"1")
        assert app.supervisor.states()["app:store"]["state"] == "running"


async def test_a_removed_entry_is_no_store_any_more() -> None:
    async with app_of(store_entry()) as app:
        await app.registry.apply([Operation(Op.DELETE, store_entry())])
        with pytest.raises(Error, match="app:store not found"):
            app.resources.get("app:store", KeyValueStore)  # type: ignore[type-abstract]


async def test_it_is_a_service(tmp_path) -> None:
    files = {
        "_index.yaml": """
version: "1.0"
namespace: app
entries:
  - name: cache
    kind: store.memory
    max_size: 5
    cleanup_interval: 1m
    lifecycle:
      auto_start: true
"""
    }
    async with app_at(tmp_path, files) as app:
        assert app.warnings == []
        assert app.supervisor.states()["app:cache"]["state"] == "running"


async def test_sweeping_frees_memory_and_stops_when_nothing_can_expire() -> None:
    clock = VirtualClock()
    store = MemoryStore("app:store", clock, 100, 60)
    assert clock.next_deadline() is None
    await store.put("a", b"1", 10)
    await store.put("b", b"1", 90)
    await store.put("c", b"1")
    assert clock.next_deadline() == 60
    clock.advance_to(60)
    assert len(store._records) == 2
    clock.advance_to(120)
    assert len(store._records) == 1
    assert clock.next_deadline() is None


async def test_an_interval_of_zero_never_sweeps_by_itself() -> None:
    clock = VirtualClock()
    store = MemoryStore("app:store", clock, 100, 0)
    await store.put("a", b"1", 10)
    assert clock.next_deadline() is None
    clock.advance_to(10)
    assert await store.get("a") is None


async def test_writing_a_key_again_and_again_keeps_memory_bounded() -> None:
    store = MemoryStore("app:store", VirtualClock(), 10, 60)
    for n in range(1000):
        await store.put("a", b"1", n + 1)
    assert len(store._expiries) <= 20
