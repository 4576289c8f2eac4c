"""The registry: one state, changed only by transactions, each of which is a version."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from wippy.errors import ALREADY_EXISTS, INVALID, NOT_FOUND, TIMEOUT, Error
from wippy.registry.change import Op, Operation, delta, order
from wippy.registry.entry import Entry
from wippy.registry.history import History, MemoryHistory, Version
from wippy.registry.merge import boot_state
from wippy.registry.query import Index

__all__ = ["Listener", "Registry"]

log = logging.getLogger("wippy")

#: Seconds a kind may take to accept one operation (reference: "apply waits for listeners (120 s)").
LISTENER_TIMEOUT = 120.0


class Listener(Protocol):
    """What a kind does when an entry of it changes."""

    async def accept(self, operation: Operation) -> None:
        """Make the operation true, or raise to reject the whole change.

        Called once more with the inverse when a later operation of the same change is rejected.
        """


class Registry:
    """Entries by id, their versions, and the transactions between them.

    `listener_of` gives the listener for an entry, or raises Error when nothing provides its kind. `needs` gives the ids
    that an entry depends on; entries for which `first` is true come up before all others and go down after them.
    `committed` hears of every change that was accepted, once.
    """

    def __init__(
        self,
        listener_of: Callable[[Entry], Listener | None],
        needs: Callable[[Entry], Iterable[str]] = lambda entry: (),
        first: Callable[[Entry], bool] = lambda entry: False,
        committed: Callable[[Sequence[Operation]], None] = lambda operations: None,
        history: History | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._listener_of = listener_of
        self._needs = needs
        self._first = first
        self._committed = committed
        self._history = history or MemoryHistory()
        self._clock = clock
        self._lock = asyncio.Lock()
        self._versions: list[Version] = list(self._history.load())
        # Invariant: _entries and _index always describe the same version, `_current`.
        self._entries: dict[str, Entry] = {}
        self._index = Index()
        self._current = 0
        self._pending: Mapping[str, Entry] = self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, entry_id: str) -> Entry:
        """Return the entry.

        Raises Error(NotFound).
        """
        entry = self._entries.get(entry_id)
        if entry is None:
            raise Error(f'entry "{entry_id}" not found', NOT_FOUND)
        return entry

    def lookup(self, entry_id: str) -> Entry | None:
        return self._entries.get(entry_id)

    def find(self, query: Mapping[str, Any]) -> list[Entry]:
        """Return the matching entries by id; see wippy.registry.query."""
        return self._index.find(query)

    @property
    def state(self) -> Mapping[str, Entry]:
        """The current entries by id, read-only and live: copy it to keep it."""
        return MappingProxyType(self._entries)

    @property
    def pending(self) -> Mapping[str, Entry]:
        """What the entries will be when the change under way is accepted; the current ones while there is none."""
        return MappingProxyType(self._pending)

    @property
    def current(self) -> int:
        """The id of the current version; 0 before the first."""
        return self._current

    def versions(self) -> Sequence[Version]:
        return tuple(self._versions)

    def state_at(self, version_id: int) -> dict[str, Entry]:
        """Return the entries as they were at a version.

        Raises Error(NotFound) for a version that does not exist.
        """
        if not 1 <= version_id <= len(self._versions):
            raise Error(f"registry version {version_id} not found", NOT_FOUND)
        state: dict[str, Entry] = {}
        for version in self._chain(version_id):
            for operation in version.operations:
                _perform(state, operation)
        return state

    def _chain(self, version_id: int) -> list[Version]:
        """Return the versions that lead to one, oldest first."""
        chain = []
        while version_id:
            version = self._versions[version_id - 1]
            chain.append(version)
            version_id = version.previous
        return chain[::-1]

    async def apply(self, operations: Sequence[Operation]) -> Version:
        """Make a change: all of it, or none.

        Raises Error(Invalid) for an empty change, Error(AlreadyExists) or Error(NotFound) where an operation does not
        fit the state, and the Error of the listener that rejected it.
        """
        async with self._lock:
            return await self._apply(operations)

    async def boot(self, files: Mapping[str, Entry]) -> None:
        """Bring up the application: what its files say, with the changes that earlier runs made and the history kept."""
        async with self._lock:
            state = boot_state(self._chain(len(self._versions)), files)
            creations = self._ordered([Operation(Op.CREATE, entry) for entry in state.values()])
            await self._deliver(creations, state)
            before = self.state_at(self._versions[-1].id) if self._versions else {}
            change = delta(before, state)
            if change:
                previous = self._versions[-1].id if self._versions else 0
                self._record(Version(len(self._versions) + 1, previous, tuple(change), self._clock(), boot=True))
            self._commit(creations)
            self._current = len(self._versions)

    async def close(self) -> None:
        """Take every entry down, dependents first; versions stay. What fails to go is logged."""
        async with self._lock:
            for operation in self._ordered([Operation(Op.DELETE, entry) for entry in self._entries.values()]):
                try:
                    await self._accept(operation)
                except Exception as problem:
                    log.error("%s", problem)
            self._entries.clear()
            self._index = Index()
            self._history.close()

    async def apply_state(self, state: Mapping[str, Entry]) -> Version | None:
        """Turn the registry into `state`; returns None when it is so already."""
        async with self._lock:
            operations = delta(self._entries, state)
            return await self._apply(operations) if operations else None

    async def apply_version(self, version_id: int) -> None:
        """Go to another version, forwards or back; no new version is made."""
        async with self._lock:
            target = self.state_at(version_id)
            operations = self._ordered(delta(self._entries, target))
            await self._deliver(operations, target)
            self._commit(operations)
            self._current = version_id

    async def _apply(self, operations: Sequence[Operation]) -> Version:
        if not operations:
            raise Error("registry change is empty", INVALID)
        after = self._after(operations)
        touched = {o.entry.id for o in operations}
        # The net operations: a listener meets each entry once.
        ordered = self._ordered(
            delta(
                {i: e for i, e in self._entries.items() if i in touched},
                {i: e for i, e in after.items() if i in touched},
            )
        )
        await self._deliver(ordered, after)
        version = Version(len(self._versions) + 1, self._current, tuple(ordered), self._clock())
        try:
            self._record(version)
        except BaseException:
            await self._undo(ordered)
            raise
        self._commit(ordered)
        self._current = version.id
        return version

    def _record(self, version: Version) -> None:
        self._history.append(version)
        self._versions.append(version)

    def _after(self, operations: Sequence[Operation]) -> dict[str, Entry]:
        """Return the entries as they will be.

        Raises Error for an operation that does not fit.
        """
        after = dict(self._entries)
        for operation in operations:
            entry = operation.entry
            exists = entry.id in after
            if operation.op is Op.CREATE and exists:
                raise Error(f"entry {entry.where()} already exists", ALREADY_EXISTS)
            if operation.op is not Op.CREATE and not exists:
                raise Error(f'entry "{entry.id}" not found', NOT_FOUND)
            _perform(after, operation)
        return after

    def _ordered(self, operations: list[Operation]) -> list[Operation]:
        needs = {o.entry.id: tuple(self._needs(o.entry)) for o in operations}

        def rank(operation: Operation) -> int:
            first = self._first(operation.entry)
            return int(first) if operation.op is Op.DELETE else 2 - int(first) + 1

        return sorted(order(operations, needs), key=rank)

    async def _deliver(self, operations: Sequence[Operation], after: Mapping[str, Entry]) -> None:
        done: list[Operation] = []
        self._pending = after
        try:
            for operation in operations:
                await self._accept(operation)
                done.append(operation)
        except BaseException:
            await self._undo(done)
            raise
        finally:
            self._pending = self._entries

    async def _accept(self, operation: Operation) -> None:
        listener = self._listener_of(operation.entry)
        if listener is None:
            return
        try:
            await asyncio.wait_for(listener.accept(operation), LISTENER_TIMEOUT)
        except TimeoutError:
            raise Error(
                f"{operation.entry.where()}: {operation.entry.kind} took over {LISTENER_TIMEOUT:.0f} s to accept the "
                "change",
                TIMEOUT,
            ) from None

    async def _undo(self, operations: Sequence[Operation]) -> None:
        self._pending = self._entries
        for operation in reversed(operations):
            await self._accept(operation.inverse())

    def _commit(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            entry = operation.entry
            if entry.id in self._entries:
                self._index.remove(entry.id)
            _perform(self._entries, operation)
            if operation.op is not Op.DELETE:
                self._index.add(entry)
        self._committed(operations)


def _perform(state: dict[str, Entry], operation: Operation) -> None:
    if operation.op is Op.DELETE:
        state.pop(operation.entry.id, None)
    else:
        state[operation.entry.id] = operation.entry
