"""The kind terminal.host: a host for one process at a time, which has the terminal (manual page `system/terminal`)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from wippy.errors import RATE_LIMITED, UNAVAILABLE, Error
from wippy.kind import Kind
from wippy.registry.entry import Entry
from wippy.scheduler.node import Exit
from wippy.supervisor import Lifecycle
from wippy_plugin_process.host import GRACE, HostConfig, HostSettings, ProcessHost
from wippy_plugin_terminal.session import Session
from wippy_plugin_terminal.streams import Streams

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["TerminalConfig", "TerminalHost", "TerminalKind"]


class TerminalConfig(msgspec.Struct):
    """Fields of terminal.host."""

    hide_logs: bool = False
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)


class TerminalHost(ProcessHost):
    """A process host of one place. Whoever writes log records to the console respects `hide_logs` while it runs one."""

    def __init__(self, app: App, host_id: str, config: TerminalConfig) -> None:
        super().__init__(
            app, host_id, HostConfig(host=HostSettings(workers=1, max_processes=1), lifecycle=config.lifecycle)
        )
        self.hide_logs = config.hide_logs
        #: Where programs read and write; None for this Python program's own standard streams.
        self.streams: Streams | None = None
        self._grace = config.lifecycle.stop_timeout * GRACE
        self._session: Session | None = None

    async def run(self, process: str, args: Sequence[str] = (), **options: Any) -> int:
        """Run a process with the terminal as its input and output, and return its exit code.

        The code is the number that it returns, 0 for any other value. `options` are those of App.spawn. Raises the Error
        that it ends in, Error(NotFound) for a process that does not exist, Error(RateLimited) while another runs here.
        Cancelling cancels the process: one that then returns has its code returned, for any other CancelledError is
        raised.
        """
        node = self._app.node
        await self._app.supervisor.start(self.id)
        if await node.processes(self.id):
            raise Error(f"{self.id} runs a process already: a terminal has room for one", RATE_LIMITED, retryable=True)
        session = self._session = Session(self.streams or Streams.standard(), args)
        try:
            pid, end = await node.spawn_watched(process, self.id, **options)
            result = await self._result(pid, end, session)
        finally:
            session.close()
            self._session = None
        if result.error is not None:
            raise result.error
        return _exit_code(result.value)

    async def _result(self, pid: str, end: asyncio.Future[Exit], session: Session) -> Exit:
        try:
            return await asyncio.shield(end)
        except asyncio.CancelledError:
            result = await self._cancelled(pid, end, session)
            if result.error is not None:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # the program has answered
            return result

    async def _cancelled(self, pid: str, end: asyncio.Future[Exit], session: Session) -> Exit:
        """Ask the process to end, give it time, end it."""
        node = self._app.node
        session.interrupt()
        with suppress(Error):  # it ended meanwhile
            await node.cancel(pid, "interrupted")
        timer = node.clock.call_later(self._grace, lambda: asyncio.ensure_future(self._terminate()))
        try:
            return await asyncio.shield(end)
        except asyncio.CancelledError:
            await self._terminate()
            raise
        finally:
            timer.cancel()

    async def stop(self) -> None:
        """Cancel what runs here, give it time, and end what is left."""
        if self._session:
            self._session.interrupt()
        await super().stop()

    async def open(self, pid: str) -> Session:
        """Return the session of a process on this host, however it was started.

        Raises Error(NotFound) for a process that has ended.
        """
        current = self._session
        if current is not None and current.pid in (None, pid):
            current.pid = pid
            return current
        session = self._session = Session(self.streams or Streams.standard(), (), pid)
        end = await self._app.node.watch(pid)
        end.add_done_callback(lambda _: session.close())
        return session

    def session(self, pid: str) -> Session:
        """Return the session that a process has opened.

        Raises Error(Unavailable) where the terminal belongs to another.
        """
        if self._session is None or self._session.pid != pid:
            raise Error(f"process {pid} has no terminal", UNAVAILABLE, retryable=False)
        return self._session


def _exit_code(value: Any) -> int:
    """Return the number that a program returned, 0 for anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return int(value) if is_number else 0


class TerminalKind(Kind[TerminalConfig]):
    """terminal.host."""

    config = TerminalConfig

    async def add(self, entry: Entry, config: TerminalConfig) -> None:
        host = TerminalHost(self.app, entry.id, config)
        self.app.resources.put(entry.id, host)
        await self.app.supervisor.add(entry.id, host, config.lifecycle)

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
        self.app.resources.remove(entry.id)
