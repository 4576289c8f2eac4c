"""The kind process.service: a process that the supervisor keeps running (manual page guides/supervision)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from wippy.errors import CANCELED, Error
from wippy.kind import Kind, Ref
from wippy.registry.entry import Entry
from wippy.scheduler.node import Exit
from wippy.supervisor import Lifecycle

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["ServiceConfig", "ServiceKind"]


class ServiceConfig(msgspec.Struct):
    """Fields of process.service."""

    process: Ref
    host: Ref
    input: list[Any] = []
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)


class SupervisedProcess:
    """One process as a service."""

    def __init__(self, app: App, service_id: str, config: ServiceConfig) -> None:
        self._app = app
        self._id = service_id
        self._config = config
        self._pid: str | None = None
        self._end: asyncio.Future[Exit] | None = None

    async def start(self) -> None:
        options: dict[str, Any] = {}
        if self._config.lifecycle.security:
            options["security"] = self._config.lifecycle.security
        node = self._app.node
        self._app.code.flush()
        self._pid, self._end = await node.spawn_watched(
            str(self._config.process), str(self._config.host), *self._config.input, **options
        )

    async def stop(self) -> None:
        """Cancel the process and wait; when the time is over it is terminated."""
        if self._end is None or self._end.done() or self._pid is None:
            return
        try:
            await self._app.node.cancel(self._pid, "service stops")
            await asyncio.shield(self._end)
        except asyncio.CancelledError:
            await self._app.node.terminate(self._pid)
            raise
        except Error:
            return  # it ended before it could be cancelled

    async def ended(self) -> None:
        """Return when the process is done; raise what it failed with."""
        assert self._end is not None
        error = (await asyncio.shield(self._end)).error
        if error is not None:
            if error.kind == CANCELED:
                error = Error(str(error), CANCELED, retryable=False)
            raise error


class ServiceKind(Kind[ServiceConfig]):
    """process.service."""

    config = ServiceConfig

    async def add(self, entry: Entry, config: ServiceConfig) -> None:
        await self.app.supervisor.add(entry.id, SupervisedProcess(self.app, entry.id, config), config.lifecycle)

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
