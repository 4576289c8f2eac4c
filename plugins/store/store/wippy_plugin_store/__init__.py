"""Key-value stores: what a driver offers (`KeyValueStore`), and the Lua module `store` over it."""

from wippy.module import Module, lua_source
from wippy_plugin_store.commands import commands
from wippy_plugin_store.problems import key_exists, store_full, version_conflict
from wippy_plugin_store.protocol import (
    DEFAULT_LIMIT,
    MOST_LIMIT,
    Backend,
    Consistency,
    Info,
    Item,
    KeyValueStore,
    Page,
    decode_value,
    encode_value,
)

__all__ = [
    "DEFAULT_LIMIT",
    "MOST_LIMIT",
    "Backend",
    "Consistency",
    "Info",
    "Item",
    "KeyValueStore",
    "Page",
    "decode_value",
    "encode_value",
    "key_exists",
    "module",
    "store_full",
    "version_conflict",
]

module = Module(
    name="store",
    source=lua_source(__package__, "store.lua"),
    commands=commands,
    permissions={
        "get": "store.get",
        "Store.info": "store.info",
        "Store.get": "store.key.get",
        "Store.entry": "store.key.get",
        "Store.set": "store.key.set",
        "Store.put": "store.key.set",
        "Store.has": "store.key.has",
        "Store.delete": "store.key.delete",
        "Store.list": "store.key.list",
    },
)
