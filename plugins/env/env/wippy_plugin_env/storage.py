"""What a storage offers, and those that need no file: memory, static values, the operating system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from wippy.errors import PERMISSION_DENIED, Error

__all__ = ["EnvStorage", "MemoryStorage", "OsStorage", "StaticStorage", "read_only"]


@runtime_checkable
class EnvStorage(Protocol):
    """Values by name. Both methods answer at once: entries are read with them while they are decoded."""

    def get(self, name: str) -> str | None:
        """Return a value, or None when there is none.

        Raises Error when the storage cannot be read.
        """

    def set(self, name: str, value: str) -> None:
        """Keep a value.

        Raises Error(PermissionDenied) where the storage is read-only, Error(Invalid) for what it cannot hold.
        """


def read_only(what: str) -> Error:
    """Return the error for writing what can only be read."""
    return Error(f"{what} is read-only", PERMISSION_DENIED, retryable=False)


class MemoryStorage:
    """env.storage.memory: values that live as long as the entry."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def set(self, name: str, value: str) -> None:
        self._values[name] = value


class StaticStorage:
    """env.storage.static: the values of its entry."""

    def __init__(self, storage_id: str, values: Mapping[str, str]) -> None:
        self._id = storage_id
        self._values = dict(values)

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def set(self, name: str, value: str) -> None:
        raise read_only(f"storage {self._id}")


class OsStorage:
    """env.storage.os: the environment that this process was started with."""

    def __init__(self, storage_id: str) -> None:
        self._id = storage_id

    def get(self, name: str) -> str | None:
        return os.environ.get(name)

    def set(self, name: str, value: str) -> None:
        raise read_only(f"storage {self._id}")
