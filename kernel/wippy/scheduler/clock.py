"""Time as an input: the real clock, and a virtual one that jumps when nothing is left to do."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "RealClock", "VirtualClock"]


class Clock(Protocol):
    """Monotonic seconds for waiting, and wall time for telling."""

    #: Whether waiting takes real time. A virtual clock is advanced by the node when everything is idle.
    real: bool

    def now(self) -> float:
        """Return monotonic seconds."""

    def wall(self) -> int:
        """Return nanoseconds since the Unix epoch."""


class RealClock:
    """The machine's clocks."""

    real = True

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time_ns)


class VirtualClock:
    """A clock that stands still until it is advanced; the node advances it to the next deadline when all is idle."""

    real = False

    def __init__(self, wall: int = 1_700_000_000_000_000_000) -> None:
        self._now = 0.0
        self._start = wall

    def now(self) -> float:
        return self._now

    def wall(self) -> int:
        return self._start + round(self._now * 1e9)

    def advance_to(self, deadline: float) -> None:
        """Jump to `deadline`, never backwards."""
        self._now = max(self._now, deadline)
