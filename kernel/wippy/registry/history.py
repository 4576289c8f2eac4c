"""Where versions are kept. The default keeps them in memory; a plugin may keep them on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from wippy.registry.change import Operation

__all__ = ["History", "MemoryHistory", "Version"]


class Version(msgspec.Struct, frozen=True):
    """One committed change. Ids count from 1; `previous` is 0 for the first; `boot` marks what files brought."""

    id: int
    previous: int
    operations: tuple[Operation, ...]
    time: float = 0.0
    boot: bool = False


class History(Protocol):
    """Storage for versions. Calls come one at a time, in order, from the registry."""

    def load(self) -> Sequence[Version]:
        """Return every stored version, oldest first."""

    def append(self, version: Version) -> None:
        """Store a version; it must be durable, as far as the storage goes, when this returns."""

    def close(self) -> None:
        """Let go of the storage."""


class MemoryHistory:
    """Versions that live as long as the process."""

    def __init__(self) -> None:
        self._versions: list[Version] = []

    def load(self) -> Sequence[Version]:
        return tuple(self._versions)

    def append(self, version: Version) -> None:
        self._versions.append(version)

    def close(self) -> None:
        self._versions.clear()
