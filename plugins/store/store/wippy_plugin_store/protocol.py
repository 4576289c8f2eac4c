"""What a store driver offers (manual page system/store; reference, row "store").

Values are opaque bytes here: the Lua side packs and unpacks them, so a driver neither parses nor copies them. Python
code uses `encode_value` and `decode_value`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from wippy.sandbox.codec import pack, unpack

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
]

#: Items of a page when the program does not say, and at most.
DEFAULT_LIMIT = 100
MOST_LIMIT = 1000

#: A value as a store keeps it: `encode_value(x) -> bytes`, `decode_value(bytes) -> x`.
encode_value = pack
decode_value = unpack


class Backend(StrEnum):
    """The backends that the manual names; another driver may use another word."""

    MEMORY = "memory"
    SQL = "sql"
    KV_RAFT = "kv.raft"
    KV_CRDT = "kv.crdt"
    UNKNOWN = "unknown"


class Consistency(StrEnum):
    """What a reader sees of a write that has returned."""

    LINEARIZABLE = "linearizable"
    EVENTUAL = "eventual"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What a store is and can do."""

    backend: str = Backend.UNKNOWN
    consistency: str = Consistency.UNKNOWN
    durable: bool = False
    list: bool = True
    versioned: bool = True
    conditional_put: bool = True
    ttl: bool = True


class Item(msgspec.Struct, frozen=True):
    """A key, its value as bytes, and the version that the last write gave it: opaque text."""

    key: str
    value: bytes
    version: str


class Page(msgspec.Struct, frozen=True):
    """Some items in the order of their keys. `cursor` is the `after` of the next page."""

    items: list[Item]
    cursor: str
    has_more: bool


@runtime_checkable
class KeyValueStore(Protocol):
    """A key-value store.

    Invariant: what has expired is never seen again, swept or not. Keys are text, ordered by code point.
    """

    async def get(self, key: str) -> Item | None:
        """Return the item of a key, or None when there is none."""

    async def put(
        self,
        key: str,
        value: bytes,
        ttl: float | None = None,
        *,
        only_if_absent: bool = False,
        if_version: str | None = None,
    ) -> str:
        """Write a value and return its version. `ttl`: seconds until it expires; None: never.

        Raises Error(AlreadyExists) (`key_exists`) and Error(Conflict) (`version_conflict`) for conditions that do not
        hold, Error(RateLimited) (`store_full`) when there is no room. A condition and the write are one step.
        """

    async def delete(self, key: str) -> bool:
        """Remove a key; returns whether it was there."""

    async def has(self, key: str) -> bool:
        """Tell whether a key is there."""

    async def list(self, prefix: str = "", after: str = "", limit: int = DEFAULT_LIMIT) -> Page:
        """Return up to `limit` items whose keys begin with `prefix` and come after the cursor `after`."""

    def info(self) -> Info:
        """Tell what the store is and can do."""
