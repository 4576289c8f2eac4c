"""Standard input and output for programs that share an event loop: nobody else waits while one of them does."""

from __future__ import annotations

import asyncio
import io
import os
import select
import stat
import sys
from typing import BinaryIO

import msgspec

from wippy.errors import INTERNAL, Error

__all__ = ["Input", "Output", "Streams"]

#: Bytes that are asked for at a time.
CHUNK = 65536


class Streams(msgspec.Struct):
    """The binary files that a program reads and writes."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: BinaryIO

    @classmethod
    def standard(cls) -> Streams:
        """Return those of this Python program."""
        return cls(sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer)


def _descriptor(file: BinaryIO) -> int | None:
    try:
        return file.fileno()
    except (io.UnsupportedOperation, AttributeError):
        return None  # a file in memory, which never makes anybody wait


class Input:
    """A file that is read as far as somebody asks, and no further than one chunk."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.descriptor = _descriptor(file)
        self._lock = asyncio.Lock()
        self._buffer = bytearray()

    async def read(self, most: int) -> bytes | None:
        """Return some bytes as soon as there are any; None at the end.

        Raises Error(Internal).
        """
        async with self._lock:
            if not self._buffer and not await self._fill():
                return None
            return self._take(most)

    async def readline(self) -> bytes | None:
        """Return a line without its end (the last one may have none); None at the end.

        Raises Error(Internal).
        """
        async with self._lock:
            searched = 0
            while (end := self._buffer.find(b"\n", searched)) < 0:
                searched = len(self._buffer)
                if not await self._fill():
                    return self._take(searched) if searched else None
            return self._take(end + 1)[:-1].removesuffix(b"\r")

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _fill(self) -> bool:
        try:
            await self._readable()
            data = os.read(self.descriptor, CHUNK) if self.descriptor is not None else self._file.read(CHUNK)
        except OSError as problem:
            raise Error(f"cannot read standard input: {problem.strerror}", INTERNAL) from None
        self._buffer += data
        return bool(data)

    async def _readable(self) -> None:
        if self.descriptor is None or stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            return
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self.descriptor, ready.set)
        except PermissionError:
            return  # a device such as /dev/null, which always answers at once
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.descriptor)


class Output:
    """A file that gets everything at once, in the order of writing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._descriptor = _descriptor(file)
        self._lock = asyncio.Lock()

    async def write(self, data: bytes) -> None:
        """Write, and return when the system has it.

        Raises Error(Internal), for example when the reader of a pipe is gone.
        """
        async with self._lock:
            try:
                if self._takes(len(data)):
                    self._write(data)
                else:
                    await asyncio.to_thread(self._write, data)
            except (OSError, ValueError) as problem:
                why = problem.strerror if isinstance(problem, OSError) else problem
                raise Error(f"cannot write output: {why}", INTERNAL) from None

    async def flush(self) -> None:
        """Wait for what is being written.

        Raises Error(Internal).
        """
        await self.write(b"")

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    def _takes(self, size: int) -> bool:
        """Tell whether the file takes this much without making anybody wait: a thread of its own costs more."""
        if self._descriptor is None:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return size <= select.PIPE_BUF and bool(poll.poll(0))
