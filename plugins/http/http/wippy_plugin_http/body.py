"""A request's body as it arrives: buffered up to a mark, read by one reader, never kept longer than it is needed."""

from __future__ import annotations

import asyncio
from collections import deque

from wippy.errors import INTERNAL, Error

__all__ = ["Body", "TooLarge"]

#: Bytes that are taken from the connection before anybody asks for them.
HIGH_WATER = 64 * 1024


class TooLarge(Exception):
    """The body is larger than its reader allows."""


class Body:
    """Fed by the connection, read by commands of the function."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._taken = 0
        self._complete = False
        self._lost = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def feed(self, data: bytes, more: bool) -> None:
        """Take what the connection has; `more` tells that it is not the end."""
        if data:
            self._chunks.append(data)
            self._size += len(data)
            if self._size >= HIGH_WATER:
                self._room.clear()
        self._complete = not more
        self._arrived.set()

    def lose(self) -> None:
        """The client is gone before the body was complete."""
        self._lost = not self._complete
        self._arrived.set()

    @property
    def complete(self) -> bool:
        return self._complete

    async def room(self) -> None:
        """Wait until more should be fed."""
        await self._room.wait()

    async def read(self, size: int, limit: int, timeout: float) -> bytes:
        """Return up to `size` bytes, everything for 0; empty at the end.

        Raises TooLarge when the whole body has more than `limit` bytes, Error(Internal) when nothing comes for `timeout`
        seconds and when the client went away.
        """
        parts: list[bytes] = []
        wanted = size
        try:
            async with asyncio.timeout(timeout):
                while size == 0 or not parts:
                    if self._taken + self._size > limit:
                        raise TooLarge
                    while self._chunks and (size == 0 or wanted > 0):
                        chunk = self._take(wanted if size else 0)
                        wanted -= len(chunk)
                        parts.append(chunk)
                    if self._lost:
                        raise Error("the client went away while its request was read", INTERNAL, retryable=False)
                    if self._complete and (not self._chunks or parts):
                        break
                    if size and parts:
                        break
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise Error(f"read timeout: no complete body within {timeout:g} s", INTERNAL, retryable=False) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, most: int) -> bytes:
        chunk = self._chunks.popleft()
        if most and len(chunk) > most:
            self._chunks.appendleft(chunk[most:])
            chunk = chunk[:most]
        self._size -= len(chunk)
        self._taken += len(chunk)
        if self._size < HIGH_WATER:
            self._room.set()
        return chunk
