"""The kind store.memory (manual page system/store)."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec

from wippy.kind import Duration, Kind
from wippy.registry.entry import Entry
from wippy.supervisor import Lifecycle
from wippy_plugin_store_memory.store import MemoryStore

__all__ = ["MemoryStoreConfig", "MemoryStoreKind"]

DEFAULT_SIZE = 10_000


class MemoryStoreConfig(msgspec.Struct):
    """Fields of store.memory. A `max_size` of 0 means the default, as the manual says."""

    max_size: Annotated[int, msgspec.Meta(ge=0)] = DEFAULT_SIZE
    cleanup_interval: Duration = Duration(300)
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)


class StoreService:
    """A store as a service. It answers whenever its entry exists; the supervisor only tells its state."""

    async def start(self) -> None:
        """There is nothing to wait for."""

    async def stop(self) -> None:
        """There is nothing to let go of: the data goes with the entry."""

    async def ended(self) -> None:
        await asyncio.get_running_loop().create_future()


class MemoryStoreKind(Kind[MemoryStoreConfig]):
    """store.memory."""

    config = MemoryStoreConfig

    async def add(self, entry: Entry, config: MemoryStoreConfig) -> None:
        store = MemoryStore(entry.id, self.app.clock, config.max_size or DEFAULT_SIZE, float(config.cleanup_interval))
        self.app.resources.put(entry.id, store)
        await self.app.supervisor.add(entry.id, StoreService(), config.lifecycle)

    async def update(self, entry: Entry, config: MemoryStoreConfig, before: Entry) -> None:
        """Apply new limits; the data stays."""
        store = self.app.resources.get(entry.id, MemoryStore)
        store.configure(config.max_size or DEFAULT_SIZE, float(config.cleanup_interval))
        await self.app.supervisor.remove(entry.id)
        await self.app.supervisor.add(entry.id, StoreService(), config.lifecycle)

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
        self.app.resources.get(entry.id, MemoryStore).close()
        self.app.resources.remove(entry.id)
