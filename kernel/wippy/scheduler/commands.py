"""Commands: the async Python work that Lua code waits for, by name, and its cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from wippy.errors import INTERNAL, NOT_FOUND, Error

__all__ = ["Call", "Command", "Commands", "Sink"]


class Sink:
    """The Python end of a Lua channel that a command was given (kernel.open_sink in Lua)."""

    def __init__(self, push: Callable[[Any], None], close: Callable[[], None]) -> None:
        self.push = push
        self.close = close


class Call:
    """What a command knows of its caller."""

    __slots__ = ("_node", "pid", "worker")

    def __init__(self, node: Any, worker: int, pid: str) -> None:
        self._node = node
        self.worker = worker
        self.pid = pid

    def sink(self, sink_id: int, on_drop: Callable[[], None] | None = None) -> Sink:
        """Open the channel that Lua passed as a sink; `on_drop` is called when its process has ended."""
        return self._node.open_sink(self.worker, sink_id, on_drop)  # type: ignore[no-any-return]


Command = Callable[..., Awaitable[Any]]


class Commands:
    """The table from command name to handler. Modules add theirs when the first entry uses them; none is ever replaced."""

    def __init__(self) -> None:
        self._table: dict[bytes, Command] = {}

    def register(self, name: str, handler: Command) -> None:
        """Register `handler(call, *args)`.

        Raises Error(Internal) for a name that is taken and for a handler that is not async.
        """
        key = name.encode()
        if key in self._table:
            raise Error(f'command "{name}" is registered twice', INTERNAL)
        if not asyncio.iscoroutinefunction(handler):
            raise Error(f'command "{name}" must be an async function', INTERNAL)
        self._table[key] = handler

    def __getitem__(self, name: bytes) -> Command:
        try:
            return self._table[name]
        except KeyError:
            raise Error(f'command "{name.decode()}" is provided by no plugin', NOT_FOUND) from None
