"""A line before something that only one can have: first come, first served, and not for ever."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from wippy.errors import Error
from wippy.scheduler.clock import Clock, VirtualClock

__all__ = ["Line"]


class Line:
    """Used from one event loop.

    Invariant: while `free` is True nobody waits; a turn that ends passes on to the first who still waits.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.free = True
        #: How many had to wait, and for how many seconds together.
        self.wait_count = 0
        self.wait_seconds = 0.0

    async def take(self, timeout: float | None = None, late: Callable[[], Error] | None = None) -> None:
        """Wait for one's turn. Raises what `late` gives when it does not come within `timeout` seconds."""
        if self.free:
            self.free = False
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.wait_count += 1
        began = self._clock.now()
        timer = None
        if timeout is not None and late is not None:
            timer = self._clock.call_later(timeout, lambda: self._expire(turn, late))
        # Waiting for others is not work: it must not keep a virtual clock from jumping to what they wait for.
        sleepers = self._clock.sleepers if isinstance(self._clock, VirtualClock) else set()
        task = asyncio.current_task()
        sleepers.add(task)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # the turn came together with the cancellation
            raise
        finally:
            sleepers.discard(task)
            self.wait_seconds += self._clock.now() - began
            if timer:
                timer.cancel()

    def leave(self) -> None:
        """End one's turn."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free = True

    def send_away(self, reason: Callable[[], Error]) -> None:
        """Let everybody who waits fail."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(reason())

    @staticmethod
    def _expire(turn: asyncio.Future[None], late: Callable[[], Error]) -> None:
        if not turn.done():
            turn.set_exception(late())
