"""Python's own end of messages: pids that belong to Python, and the futures of processes it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from wippy.errors import NOT_FOUND, Error

__all__ = ["Exit", "Mailboxes", "Receive"]

#: What gets a mailbox's messages: (sender's pid, topic, values).
Receive = Callable[[str, str, tuple[Any, ...]], None]


class Exit(msgspec.Struct):
    """How a process ended: its value, or its error."""

    value: Any = None
    error: Error | None = None


class Mailboxes:
    """Pids of Python's. `slot` is the residue of their numbers, `slots` how many residues there are."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._last = 0
        self._receivers: dict[str, Receive] = {}
        self._on_end: dict[str, list[Callable[[str], None]]] = {}
        self._exits: dict[str, list[asyncio.Future[Exit]]] = {}
        self.watcher = self.new_pid("kernel")

    def new_pid(self, host: str) -> str:
        """Return a fresh pid that belongs to Python."""
        number = self._last * self._slots + self._slots
        self._last += 1
        return f"{{{host}|0x{number:05x}}}"

    def open(self, host: str, receive: Receive) -> str:
        """Make a pid whose messages go to `receive`."""
        pid = self.new_pid(host)
        self._receivers[pid] = receive
        return pid

    def close(self, pid: str) -> list[Callable[[str], None]]:
        """End a pid; returns what wants to hear of it."""
        self._receivers.pop(pid, None)
        return self._on_end.pop(pid, [])

    def is_open(self, pid: str) -> bool:
        return pid in self._receivers

    def deliver(self, pid: str, source: str, topic: str, _count: int, *values: Any) -> None:
        """A message for one of Python's pids."""
        receive = self._receivers.get(pid)
        if receive:
            receive(source, topic, values)

    def on_end(self, pid: str, tell: Callable[[str], None]) -> None:
        """Call tell(pid) when a pid of Python's is closed.

        Raises Error(NotFound) when it is closed already.
        """
        if pid not in self._receivers:
            raise Error(f"process {pid} not found", NOT_FOUND)
        self._on_end.setdefault(pid, []).append(tell)

    # Waiting for processes ------------------------------------------------------------------------------------------

    def expect(self, key: str) -> asyncio.Future[Exit]:
        """Return a future of how a process ends.

        `key` is the process's pid when the common `watcher` monitors it, else the pid of a watcher of its own, which can
        be named before the process exists.
        """
        future: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._exits.setdefault(key, []).append(future)
        return future

    def forget(self, key: str) -> None:
        self._exits.pop(key, None)

    def exited(self, watcher: str, pid: str, value: Any = None, error: Error | None = None) -> None:
        """A monitored process ended."""
        # A watcher of its own waits under its own pid, the common one under the pid it watches.
        key = pid if watcher == self.watcher else watcher
        for future in self._exits.pop(key, ()):
            if not future.done():
                future.set_result(Exit(value, error))
        receive = self._receivers.get(watcher)
        if receive:
            receive(pid, "pid.exit", (value, error))
