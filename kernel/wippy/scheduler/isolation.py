"""Isolated processes: one VM, one thread and one memory limit each, for code that is not trusted.

A process of a host with `isolation: vm` is started in a worker made for it, which goes away when the process ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wippy.errors import RATE_LIMITED, Error
from wippy.scheduler.commands import Call

if TYPE_CHECKING:
    from wippy.scheduler.mailboxes import Exit
    from wippy.scheduler.node import Node

__all__ = ["Isolation"]


class Isolation:
    """The isolated workers of a node; `indexes` are those they may have."""

    def __init__(self, node: Node, indexes: Iterable[int]) -> None:
        self._node = node
        self._free = list(indexes)
        self._generations: dict[int, int] = {}
        self._reapers: set[asyncio.Task[None]] = set()

    async def start(self, process: str, host: str, args: dict[str | int, Any], options: dict[str, Any]) -> str:
        """Start a process in a VM of its own and return its pid.

        Raises Error(RateLimited) when there are as many isolated processes as there can be, and what spawning raises.
        """
        if not self._free:
            raise Error(f"host {host}: too many isolated processes run already", RATE_LIMITED, retryable=True)
        node = self._node
        index = self._free.pop(0)
        generation = self._generations.get(index, -1) + 1
        self._generations[index] = generation
        node.add_worker(index, memory_limit=int(node.host_limit(host, "memory_limit")), generation=generation)
        watcher = node.mailboxes.new_pid("kernel")
        ended = node.mailboxes.expect(watcher)
        try:
            pid: str = await node.request(index, "spawn", process, host, args, {**options, "reaper": watcher})
        except BaseException:
            node.mailboxes.forget(watcher)
            await self._remove(index)
            raise
        reaper = asyncio.create_task(self._reap(index, ended))
        self._reapers.add(reaper)
        reaper.add_done_callback(self._reapers.discard)
        return pid

    async def _reap(self, index: int, ended: asyncio.Future[Exit]) -> None:
        await ended
        await self._remove(index)

    async def _remove(self, index: int) -> None:
        await self._node.remove_worker(index)
        self._free.append(index)

    async def spawn(self, _call: Call, process: str, host: str, args: dict[str | int, Any], options: Any) -> str:
        """The command behind process.spawn on an isolated host."""
        return await self.start(process, host, args, options)

    async def execute(self, _call: Call, process: str, host: str, args: dict[str | int, Any], options: Any) -> Any:
        """The command behind process.exec on an isolated host; ending the caller ends the process."""
        node = self._node
        watcher = node.mailboxes.new_pid("kernel")
        ended = node.mailboxes.expect(watcher)
        pid = await self.start(process, host, args, {**options, "monitor": watcher})
        try:
            end = await ended
        except asyncio.CancelledError:
            await node.terminate(pid)
            raise
        if end.error is not None:
            raise end.error
        return end.value
