"""One process at the terminal: its arguments, its streams, and what has to be put back when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from wippy.errors import CANCELED, UNAVAILABLE, Error
from wippy_plugin_terminal.streams import Input, Output, Streams

__all__ = ["Session"]


class Session:
    """What a process on a terminal host has while it lives. `pid` is None until the process first asks."""

    def __init__(self, streams: Streams, args: Sequence[str], pid: str | None = None) -> None:
        self.args = list(args)
        self.pid = pid
        self.output = Output(streams.stdout)
        self.errors = Output(streams.stderr)
        self._input = Input(streams.stdin)
        self._interrupted = False
        self._reads: set[asyncio.Task[bytes | None]] = set()
        self._raw = 0
        # Invariant: what the terminal was set to before, exactly while _raw is above 0.
        self._settings: list[Any] | None = None

    async def read(self, most: int) -> bytes | None:
        """Return some input; None at its end.

        Raises Error(Canceled) once the program was interrupted, Error(Internal).
        """
        return await self._reading(self._input.read(most))

    async def readline(self) -> bytes | None:
        """Return a line of input; None at its end.

        Raises Error(Canceled) once the program was interrupted, Error(Internal).
        """
        return await self._reading(self._input.readline())

    async def _reading(self, work: Coroutine[Any, Any, bytes | None]) -> bytes | None:
        read = asyncio.ensure_future(work)
        self._reads.add(read)
        if self._interrupted:
            read.cancel()
        try:
            return await read
        except asyncio.CancelledError:
            if self._interrupted:
                raise Error("the program was interrupted", CANCELED, retryable=False) from None
            raise
        finally:
            self._reads.discard(read)

    def interrupt(self) -> None:
        """Let reading fail, so that a program which waits for input gets to its end."""
        self._interrupted = True
        for read in self._reads:
            read.cancel()

    def set_raw(self, enable: bool) -> None:
        """Turn line buffering and echo off, or back on after as many calls; Ctrl-C keeps its meaning.

        Raises Error(Unavailable) where the input is no terminal.
        """
        if enable:
            if self._raw == 0:
                self._settings = self._make_raw()
            self._raw += 1
        elif self._raw:
            self._raw -= 1
            if self._raw == 0:
                self._restore()

    def _make_raw(self) -> list[Any]:
        try:
            import termios

            if self._input.descriptor is None:
                raise ValueError
            settings = termios.tcgetattr(self._input.descriptor)
        except (ImportError, ValueError, termios.error):
            raise Error("standard input is no terminal", UNAVAILABLE, retryable=False) from None
        raw = [*settings]
        raw[3] &= ~(termios.ICANON | termios.ECHO)
        raw[6] = [*settings[6]]
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._input.descriptor, termios.TCSADRAIN, raw)
        return settings

    def _restore(self) -> None:
        if self._settings is not None and self._input.descriptor is not None:
            import termios

            termios.tcsetattr(self._input.descriptor, termios.TCSADRAIN, self._settings)
            self._settings = None

    def close(self) -> None:
        """Put the terminal back as it was."""
        self._raw = 0
        self._restore()
