"""A bounded key-value store with expiry and versions, in one dict."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from heapq import heapify, heappop, heappush

from wippy.scheduler.clock import Clock, Timer
from wippy_plugin_store import (
    DEFAULT_LIMIT,
    Backend,
    Consistency,
    Info,
    Item,
    Page,
    key_exists,
    store_full,
    version_conflict,
)

__all__ = ["MemoryStore"]


class _Record:
    __slots__ = ("expires", "item")

    def __init__(self, item: Item, expires: float | None) -> None:
        self.item = item
        #: Clock time from which on it is gone; None: never.
        self.expires = expires


class MemoryStore:
    """A KeyValueStore of at most `max_size` keys. `cleanup_interval` is in seconds; 0: nothing is swept by itself."""

    def __init__(self, store_id: str, clock: Clock, max_size: int, cleanup_interval: float) -> None:
        self._id = store_id
        self._clock = clock
        self._max_size = max_size
        self._interval = cleanup_interval
        self._records: dict[str, _Record] = {}
        # The keys in order, made when a listing needs them; None while a key came or went since.
        self._order: list[str] | None = None
        # Invariant: every record that expires has an entry (expiry, key) here; entries may outlive their record.
        self._expiries: list[tuple[float, str]] = []
        # Runs only while something can expire, so that an idle application stays idle.
        self._timer: Timer | None = None
        self._version = 0

    def info(self) -> Info:
        return Info(backend=Backend.MEMORY, consistency=Consistency.LOCAL)

    def configure(self, max_size: int, cleanup_interval: float) -> None:
        """Apply new limits. Keys beyond a smaller `max_size` stay until they are deleted or expire."""
        self._max_size, self._interval = max_size, cleanup_interval
        self._stop_timer()
        self._arm()

    def close(self) -> None:
        """Stop sweeping."""
        self._stop_timer()

    async def get(self, key: str) -> Item | None:
        record = self._live(key)
        return record.item if record else None

    async def has(self, key: str) -> bool:
        return self._live(key) is not None

    async def put(
        self,
        key: str,
        value: bytes,
        ttl: float | None = None,
        *,
        only_if_absent: bool = False,
        if_version: str | None = None,
    ) -> str:
        record = self._live(key)
        if only_if_absent and record:
            raise key_exists(key)
        if if_version is not None and (record is None or record.item.version != if_version):
            raise version_conflict(key, if_version, record.item.version if record else None)
        if key not in self._records:
            if len(self._records) >= self._max_size:
                self.sweep()
            if len(self._records) >= self._max_size:
                raise store_full(self._id, self._max_size)
            self._order = None
        self._version += 1
        version = str(self._version)
        expires = None if ttl is None else self._clock.now() + ttl
        self._records[key] = _Record(Item(key, value, version), expires)
        if expires is not None:
            self._expire_at(expires, key)
        return version

    async def delete(self, key: str) -> bool:
        found = self._live(key) is not None
        if self._records.pop(key, None):
            self._order = None
        return found

    async def list(self, prefix: str = "", after: str = "", limit: int = DEFAULT_LIMIT) -> Page:
        if self._order is None:
            self._order = sorted(self._records)
        at = max(bisect_left(self._order, prefix), bisect_right(self._order, after) if after else 0)
        items: list[Item] = []
        for key in self._order[at:] if at else self._order:
            if not key.startswith(prefix):
                break
            record = self._live(key)
            if record is None:
                continue
            if len(items) == limit:
                return Page(items, items[-1].key, True)
            items.append(record.item)
        return Page(items, items[-1].key if items else "", False)

    def sweep(self) -> None:
        """Throw away what has expired."""
        now = self._clock.now()
        while self._expiries and self._expiries[0][0] <= now:
            expires, key = heappop(self._expiries)
            record = self._records.get(key)
            if record is not None and record.expires == expires:
                del self._records[key]
                self._order = None

    def _live(self, key: str) -> _Record | None:
        record = self._records.get(key)
        if record is None or (record.expires is not None and record.expires <= self._clock.now()):
            return None
        return record

    def _expire_at(self, expires: float, key: str) -> None:
        heappush(self._expiries, (expires, key))
        if len(self._expiries) > 2 * self._max_size:
            # Keys that are written again and again leave old entries behind.
            self._expiries = [(r.expires, k) for k, r in self._records.items() if r.expires is not None]
            heapify(self._expiries)
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._interval > 0 and self._expiries:
            self._timer = self._clock.call_later(self._interval, self._sweep_and_go_on)

    def _sweep_and_go_on(self) -> None:
        self._timer = None
        self.sweep()
        self._arm()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
