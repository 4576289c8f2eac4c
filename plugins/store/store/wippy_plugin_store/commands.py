"""The commands behind the Lua module: each looks its store up, so a changed entry takes effect at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.scheduler.commands import Call, Command
from wippy_plugin_store.protocol import DEFAULT_LIMIT, MOST_LIMIT, KeyValueStore

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


def commands(app: App) -> Mapping[str, Command]:
    """Return the handlers. Values are what Lua packed: bytes, or text where they happen to be valid UTF-8."""

    def store(store_id: str) -> KeyValueStore:
        return app.resources.get(store_id, KeyValueStore)  # type: ignore[type-abstract]

    async def open_store(_call: Call, store_id: str) -> bool:
        store(store_id)
        return True

    async def info(_call: Call, store_id: str) -> dict[str, Any]:
        found = store(store_id).info()
        return {"id": store_id, **{name: getattr(found, name) for name in found.__struct_fields__}}

    async def get(_call: Call, store_id: str, key: str) -> list[Any]:
        item = await store(store_id).get(key)
        if item is None:
            raise Error(f'key "{key}" not found in {store_id}', NOT_FOUND, retryable=False)
        return [item.value, item.version]

    async def put(
        _call: Call,
        store_id: str,
        key: str,
        value: bytes | str,
        ttl: float | None = None,
        only_if_absent: bool = False,
        if_version: str | None = None,
    ) -> str:
        target = store(store_id)
        if (only_if_absent or if_version is not None) and not target.info().conditional_put:
            raise Error(
                f"store {store_id} has no conditional writes (info().conditional_put)", INVALID, retryable=False
            )
        data = value.encode() if isinstance(value, str) else value
        return await target.put(key, data, ttl, only_if_absent=only_if_absent, if_version=if_version)

    async def has(_call: Call, store_id: str, key: str) -> bool:
        return await store(store_id).has(key)

    async def delete(_call: Call, store_id: str, key: str) -> bool:
        return await store(store_id).delete(key)

    async def list_keys(_call: Call, store_id: str, prefix: str, after: str, limit: int) -> dict[str, Any]:
        page = await store(store_id).list(prefix, after, min(limit or DEFAULT_LIMIT, MOST_LIMIT))
        items = [[item.key, item.value, item.version] for item in page.items]
        return {"items": items, "cursor": page.cursor, "has_more": page.has_more}

    return {
        "store.open": open_store,
        "store.info": info,
        "store.get": get,
        "store.put": put,
        "store.has": has,
        "store.delete": delete,
        "store.list": list_keys,
    }
