"""What all workers share: registered names and the places of hosts, each decided under one lock.

A VM asks here in the middle of a slice, on its own thread, so these calls are plain, quick and never raise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from wippy.sandbox.vm import Scalar

__all__ = ["Names", "Places"]


class Names:
    """Which pid holds which name. `announce(name, pid or None)` is called under the lock, so that every worker hears of
    changes in one order."""

    def __init__(self, announce: Callable[[str, str | None], None]) -> None:
        self._announce = announce
        self._lock = threading.Lock()
        self._holders: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._holders.get(name)

    def all(self) -> dict[str, str]:
        with self._lock:
            return dict(self._holders)

    def claim(self, name: Scalar, pid: Scalar) -> Scalar:
        """Give a name to a pid unless another holds it; returns the holder."""
        assert isinstance(name, bytes)
        assert isinstance(pid, bytes)
        wanted = pid.decode()
        with self._lock:
            holder = self._holders.setdefault(name.decode(), wanted)
            if holder == wanted:
                self._announce(name.decode(), holder)
            return holder.encode()

    def release(self, name: Scalar, pid: Scalar) -> Scalar:
        """Take a name back, if that pid holds it."""
        assert isinstance(name, bytes)
        assert isinstance(pid, bytes)
        with self._lock:
            if self._holders.get(name.decode()) == pid.decode():
                del self._holders[name.decode()]
                self._announce(name.decode(), None)
        return None


class Places:
    """How many processes a host may have, and has. Hosts without a limit are not listed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: dict[str, int] = {}
        self._taken: dict[str, int] = {}

    def limit(self, host: str, most: int) -> None:
        """Set a host's limit; 0 takes it away."""
        with self._lock:
            if most > 0:
                self._limits[host] = most
            else:
                self._limits.pop(host, None)

    def claim(self, host: Scalar) -> Scalar:
        """Take a place; False when there is none."""
        assert isinstance(host, bytes)
        key = host.decode()
        with self._lock:
            taken = self._taken.get(key, 0)
            if taken >= self._limits.get(key, 1 << 62):
                return False
            self._taken[key] = taken + 1
            return True

    def release(self, host: Scalar) -> Scalar:
        """Give a place back."""
        assert isinstance(host, bytes)
        key = host.decode()
        with self._lock:
            self._taken[key] = max(0, self._taken.get(key, 0) - 1)
        return None
