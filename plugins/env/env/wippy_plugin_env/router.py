"""env.storage.router: several storages as one (manual page `system/env`, "Router Storage")."""

from __future__ import annotations

from collections.abc import Sequence

from wippy.resources import Resources
from wippy_plugin_env.storage import EnvStorage

__all__ = ["RouterStorage"]


class RouterStorage:
    """Reads storages in order, and writes to the first. What it found it remembers."""

    def __init__(self, resources: Resources, storages: Sequence[str]) -> None:
        self.storages = tuple(storages)
        self._resources = resources
        # Name -> value and the storage it came from, by id and as an object: an entry that changed brings another.
        self._found: dict[str, tuple[str, str, EnvStorage]] = {}

    def get(self, name: str) -> str | None:
        """Return the first value that a storage has; a storage that fails ends the search with its Error."""
        known = self._found.get(name)
        if known and self._storage(known[1]) is known[2]:
            return known[0]
        for storage_id in self.storages:
            storage = self._storage(storage_id)
            value = storage.get(name)
            if value is not None:
                self._found[name] = (value, storage_id, storage)
                return value
        return None

    def set(self, name: str, value: str) -> None:
        storage = self._storage(self.storages[0])
        storage.set(name, value)
        self._found[name] = (value, self.storages[0], storage)

    def _storage(self, storage_id: str) -> EnvStorage:
        return self._resources.get(storage_id, EnvStorage)  # type: ignore[type-abstract]
