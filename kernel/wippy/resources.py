"""Resources: what entries bring to life, reached by entry id through a typed protocol."""

from __future__ import annotations

from typing import Any, TypeVar

from wippy.errors import ALREADY_EXISTS, INVALID, NOT_FOUND, Error

__all__ = ["Resources"]

Protocol = TypeVar("Protocol")


class Resources:
    """Live objects by entry id. Kinds put them here in `add` and take them away in `delete`."""

    def __init__(self) -> None:
        self._objects: dict[str, Any] = {}

    def put(self, entry_id: str, resource: object) -> None:
        """Publish an object under an entry's id.

        Raises Error(AlreadyExists) for an id that has one.
        """
        if entry_id in self._objects:
            raise Error(f"resource {entry_id} exists already", ALREADY_EXISTS)
        self._objects[entry_id] = resource

    def remove(self, entry_id: str) -> Any:
        """Take an object away and return it; None when there was none."""
        return self._objects.pop(entry_id, None)

    def get(self, entry_id: str, protocol: type[Protocol]) -> Protocol:
        """Return the object of an entry.

        `protocol` must be a runtime-checkable Protocol or a class. Raises Error(NotFound) when there is none and
        Error(Invalid) when it is something else.
        """
        resource = self._objects.get(entry_id)
        if resource is None:
            raise Error(f"{_words(protocol)} {entry_id} not found", NOT_FOUND)
        if not isinstance(resource, protocol):
            raise Error(f"{entry_id} is not a {_words(protocol)}", INVALID)
        return resource

    def all(self, protocol: type[Protocol]) -> dict[str, Protocol]:
        """Return every object of a protocol by id."""
        return {i: o for i, o in self._objects.items() if isinstance(o, protocol)}


def _words(protocol: type) -> str:
    """Return a protocol's name as words: `KeyValueStore` is a "key value store"."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in protocol.__name__).strip()
