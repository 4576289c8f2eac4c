"""The registry as it was at a version, for snapshots."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from wippy.errors import NOT_FOUND, Error
from wippy.registry.entry import Entry
from wippy.registry.query import Index
from wippy.registry.registry import Registry

__all__ = ["Views"]

#: Past versions whose entries are kept at hand; others are put together again from the history.
KEPT = 8


class _View:
    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries
        self.index = Index(entries.values())


class Views:
    """Entries by version. The current version is answered by the registry itself."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._past: OrderedDict[int, _View] = OrderedDict()

    def get(self, version: int, entry_id: str) -> Entry:
        """Return an entry as it was at a version.

        Raises Error(NotFound) for an entry or a version that does not exist.
        """
        if version == self._registry.current:
            return self._registry.get(entry_id)
        entry = self._view(version).entries.get(entry_id)
        if entry is None:
            raise Error(f'entry "{entry_id}" not found in version {version}', NOT_FOUND, retryable=False)
        return entry

    def find(self, version: int, query: Mapping[str, Any]) -> list[Entry]:
        """Return what matched at a version, by id.

        Raises Error(NotFound) for an unknown version, Error(Invalid) for a malformed query.
        """
        if version == self._registry.current:
            return self._registry.find(query)
        return self._view(version).index.find(query)

    def namespace(self, version: int, namespace: str) -> list[Entry]:
        """Return the entries of exactly this namespace, by id."""
        entries = self._registry.state if version == self._registry.current else self._view(version).entries
        return [entries[entry_id] for entry_id in sorted(entries) if entries[entry_id].namespace == namespace]

    def _view(self, version: int) -> _View:
        view = self._past.get(version)
        if view is None:
            view = self._past[version] = _View(self._registry.state_at(version))
            if len(self._past) > KEPT:
                self._past.popitem(last=False)
        self._past.move_to_end(version)
        return view
