"""The kind queue.driver.memory (manual pages system/queue and guides/queue-consumers)."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec

from wippy.errors import INVALID, Error
from wippy.kind import Kind
from wippy.registry.entry import Entry
from wippy.scheduler.clock import Clock
from wippy.supervisor import Lifecycle
from wippy_plugin_queue import QueueSpec
from wippy_plugin_queue_memory.broker import MemoryQueue

__all__ = ["MemoryDriver", "MemoryDriverConfig", "MemoryDriverKind"]

DEFAULT_LENGTH = 1000


class MemoryDriverConfig(msgspec.Struct):
    """Fields of queue.driver.memory."""

    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)


class QueueOptions(msgspec.Struct, forbid_unknown_fields=True):
    """The `memory` bag of a queue's `driver_options`; 0 means the default."""

    max_length: Annotated[int, msgspec.Meta(ge=0)] = 0


class MemoryDriver:
    """A broker in this process (QueueDriver), and its service: it works whenever its entry exists."""

    name = "memory"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: Queues stay, with their messages, when their entries go: like those of any broker.
        self._queues: dict[str, MemoryQueue] = {}

    def open(self, spec: QueueSpec) -> MemoryQueue:
        try:
            options = msgspec.convert(dict(spec.options), QueueOptions, strict=False)
        except msgspec.ValidationError as problem:
            raise Error(f"{spec.id}: driver_options.memory: {problem}", INVALID, retryable=False) from None
        length = options.max_length or DEFAULT_LENGTH
        queue = self._queues.get(spec.name)
        if queue is None:
            queue = self._queues[spec.name] = MemoryQueue(spec.name, self._clock, length)
        else:
            queue.resize(length)
        return queue

    def drop(self) -> None:
        """Forget all queues with their messages."""
        for queue in self._queues.values():
            queue.drop()
        self._queues.clear()

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def stop(self) -> None:
        """The queues stay until the entry goes."""

    async def ended(self) -> None:
        await asyncio.get_running_loop().create_future()


class MemoryDriverKind(Kind[MemoryDriverConfig]):
    """queue.driver.memory."""

    config = MemoryDriverConfig

    async def add(self, entry: Entry, config: MemoryDriverConfig) -> None:
        driver = MemoryDriver(self.app.clock)
        self.app.resources.put(entry.id, driver)
        await self.app.supervisor.add(entry.id, driver, config.lifecycle)

    async def update(self, entry: Entry, config: MemoryDriverConfig, before: Entry) -> None:
        """Only the lifecycle can change: the driver stays, with all its messages."""
        driver = self.app.resources.get(entry.id, MemoryDriver)
        await self.app.supervisor.remove(entry.id)
        await self.app.supervisor.add(entry.id, driver, config.lifecycle)

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
        self.app.resources.get(entry.id, MemoryDriver).drop()
        self.app.resources.remove(entry.id)
