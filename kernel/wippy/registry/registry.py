"""The registry: one state, changed only by transactions, each of which is a version."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from wippy.errors import ALREADY_EXISTS, INVALID, NOT_FOUND, TIMEOUT, Error
from wippy.registry.change import Op, Operation, delta, order
from wippy.registry.entry import Entry
from wippy.registry.history import History, MemoryHistory, Version
from wippy.registry.query import Index

__all__ = ["Listener", "Registry"]

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

    `listener_of` gives the listener for a kind, or raises Error when nothing provides it. `needs` gives the ids that an
    entry depends on.
    """

    def __init__(
        self,
        listener_of: Callable[[Entry], Listener | None],
        needs: Callable[[Entry], Iterable[str]] = lambda entry: (),
        history: History | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._listener_of = listener_of
        self._needs = needs
        self._history = history or MemoryHistory()
        self._clock = clock
        self._lock = asyncio.Lock()
        self._versions: list[Version] = list(self._history.load())
        # Invariant: _entries and _index always describe the same version, `_current`.
        self._entries: dict[str, Entry] = {}
        self._index = Index()
        self._current = 0

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
        chain = []
        while version_id:
            version = self._versions[version_id - 1]
            chain.append(version)
            version_id = version.previous
        state: dict[str, Entry] = {}
        for version in reversed(chain):
            for operation in version.operations:
                _perform(state, operation)
        return state

    async def apply(self, operations: Sequence[Operation]) -> Version:
        """Make a change: all of it, or none.

        Raises Error(Invalid) for an empty change, Error(AlreadyExists) or Error(NotFound) where an operation does not
        fit the state, and the Error of the listener that rejected it.
        """
        async with self._lock:
            return await self._apply(operations)

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
            await self._deliver(operations)
            self._commit(operations)
            self._current = version_id

    async def _apply(self, operations: Sequence[Operation]) -> Version:
        if not operations:
            raise Error("registry change is empty", INVALID)
        ordered = self._ordered(self._checked(operations))
        await self._deliver(ordered)
        version = Version(len(self._versions) + 1, self._current, tuple(ordered), self._clock())
        try:
            self._history.append(version)
        except BaseException:
            await self._undo(ordered)
            raise
        self._commit(ordered)
        self._versions.append(version)
        self._current = version.id
        return version

    def _checked(self, operations: Sequence[Operation]) -> list[Operation]:
        """Return the net operations against the state, so that a listener meets each entry once."""
        after = dict(self._entries)
        for operation in operations:
            entry = operation.entry
            exists = entry.id in after
            if operation.op is Op.CREATE and exists:
                raise Error(f"entry {entry.where()} already exists", ALREADY_EXISTS)
            if operation.op is not Op.CREATE and not exists:
                raise Error(f'entry "{entry.id}" not found', NOT_FOUND)
            _perform(after, operation)
        touched = {o.entry.id for o in operations}
        return delta(
            {i: e for i, e in self._entries.items() if i in touched}, {i: e for i, e in after.items() if i in touched}
        )

    def _ordered(self, operations: list[Operation]) -> list[Operation]:
        needs = {o.entry.id: tuple(self._needs(o.entry)) for o in operations}
        return order(operations, needs)

    async def _deliver(self, operations: Sequence[Operation]) -> None:
        done: list[Operation] = []
        try:
            for operation in operations:
                await self._accept(operation)
                done.append(operation)
        except BaseException:
            await self._undo(done)
            raise

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
        for operation in reversed(operations):
            await self._accept(operation.inverse())

    def _commit(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            entry = operation.entry
            if entry.id in self._entries:
                self._index.remove(entry.id)
            _perform(self._entries, operation)
            if operation.op is not Op.DELETE:
                self._index.add(entry)


def _perform(state: dict[str, Entry], operation: Operation) -> None:
    if operation.op is Op.DELETE:
        state.pop(operation.entry.id, None)
    else:
        state[operation.entry.id] = operation.entry
