"""The kind process.host: where processes run (manual page system/process-host)."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec

from wippy.errors import Error
from wippy.kind import Duration, Kind, Size
from wippy.registry.entry import Entry
from wippy.supervisor import Lifecycle

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["HostConfig", "HostKind", "ProcessHost"]

#: Share of stop_timeout that processes get to end by themselves after they were cancelled.
GRACE = 0.8


class HostSettings(msgspec.Struct):
    """The `host` block. Queue sizes are hints of the original's scheduler and accepted without effect.

    `cpu_limit`: seconds of uninterrupted computing after which a process is ended; `memory_limit`: bytes that all
    processes of a worker may use. 0 means no limit. `isolation: vm` gives every process a VM of its own, and the memory
    limit is that process's.
    """

    workers: int = 0
    queue_size: int = 1024
    local_queue_size: int = 256
    max_processes: int = 0
    cpu_limit: Duration = Duration(0)
    memory_limit: Size = Size(0)
    isolation: Literal["none", "vm"] = "none"


class HostConfig(msgspec.Struct):
    """Fields of process.host."""

    host: HostSettings = msgspec.field(default_factory=HostSettings)
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)


class ProcessHost:
    """A host as a service: while it runs, processes can be spawned on it."""

    def __init__(self, app: App, host_id: str, config: HostConfig) -> None:
        self._app = app
        self.id = host_id
        self._config = config

    async def start(self) -> None:
        settings = self._config.host
        workers = self._app.node.ensure_threads(settings.workers or os.cpu_count() or 1)
        self._app.node.add_host(
            self.id,
            workers=workers,
            max_processes=settings.max_processes,
            limits={"cpu_limit": float(settings.cpu_limit), "memory_limit": int(settings.memory_limit)},
            isolated=settings.isolation == "vm",
        )

    async def stop(self) -> None:
        """Cancel what runs here, give it time, and end what is left."""
        node = self._app.node
        node.remove_host(self.id)
        ends = []
        for pid in await node.processes(self.id):
            try:
                ends.append(await node.watch(pid))
                await node.cancel(pid, "host stops")
            except Error:
                continue  # it ended meanwhile
        if not ends:
            return
        timer = node.clock.call_later(
            self._config.lifecycle.stop_timeout * GRACE, lambda: asyncio.ensure_future(self._terminate())
        )
        await asyncio.gather(*ends)
        timer.cancel()

    async def _terminate(self) -> None:
        node = self._app.node
        for pid in await node.processes(self.id):
            with suppress(Error):  # it ended meanwhile
                await node.terminate(pid)

    async def ended(self) -> None:
        await asyncio.get_running_loop().create_future()


class HostKind(Kind[HostConfig]):
    """process.host."""

    config = HostConfig

    async def add(self, entry: Entry, config: HostConfig) -> None:
        host = ProcessHost(self.app, entry.id, config)
        self.app.resources.put(entry.id, host)
        await self.app.supervisor.add(entry.id, host, config.lifecycle)

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
        self.app.resources.remove(entry.id)
