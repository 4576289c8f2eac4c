"""Time as an input: the real clock, and a virtual one that jumps when nothing is left to do."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Clock", "RealClock", "Timer", "VirtualClock", "sleep"]


class Timer(Protocol):
    """Something that will happen, until it is cancelled."""

    def cancel(self) -> None:
        """Take it back; after it happened this does nothing."""


class Clock(Protocol):
    """Monotonic seconds for waiting, and wall time for telling. The runtime waits through this, never through asyncio."""

    #: Whether waiting takes real time. A virtual clock is advanced by the node when everything is idle.
    real: bool

    def now(self) -> float:
        """Return monotonic seconds."""

    def wall(self) -> int:
        """Return nanoseconds since the Unix epoch."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call back in `delay` seconds, on the event loop."""


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait on a clock."""
    done = asyncio.Event()
    timer = clock.call_later(seconds, done.set)
    task = asyncio.current_task()
    if isinstance(clock, VirtualClock):
        clock.sleepers.add(task)
    try:
        await done.wait()
    finally:
        timer.cancel()
        if isinstance(clock, VirtualClock):
            clock.sleepers.discard(task)


class RealClock:
    """The machine's clocks."""

    real = True

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time_ns)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)


class _VirtualTimer:
    def __init__(self, at: float, callback: Callable[[], object]) -> None:
        self.at = at
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """A clock that stands still until it is advanced; the node advances it to the next deadline when all is idle.

    While something real is under way that the node cannot see (a file being opened, a server starting) nothing may jump:
    that is what `hold` says.
    """

    real = False

    def __init__(self, wall: int = 1_700_000_000_000_000_000) -> None:
        self._now = 0.0
        self._start = wall
        self._timers: list[tuple[float, int, _VirtualTimer]] = []
        self._sequence = 0
        self._holds = 0
        #: Tasks that wait for this clock: they do not keep it from jumping.
        self.sleepers: set[asyncio.Task[object] | None] = set()
        #: Called when there may be something new to jump to.
        self.changed: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self._now

    def wall(self) -> int:
        return self._start + round(self._now * 1e9)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        timer = _VirtualTimer(self._now + max(0.0, delay), callback)
        self._sequence += 1
        heapq.heappush(self._timers, (timer.at, self._sequence, timer))
        self.changed()
        return timer

    @property
    def held(self) -> bool:
        return self._holds > 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the clock from jumping inside the `with` block."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self.changed()

    def next_deadline(self) -> float | None:
        """Return when the earliest of this clock's own timers is due."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance_to(self, deadline: float) -> None:
        """Jump to `deadline`, never backwards, and fire what is due by then."""
        self._now = max(self._now, deadline)
        while self._timers and self._timers[0][0] <= self._now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback:
                callback()
