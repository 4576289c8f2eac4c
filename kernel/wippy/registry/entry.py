"""What the registry holds: entries, their ids, and where each was written."""

from __future__ import annotations

from typing import Any

import msgspec

from wippy.errors import INVALID, Error

__all__ = ["Entry", "Place", "join_id", "qualify", "split_id"]


class Place(msgspec.Struct, frozen=True):
    """Where an entry was written: the file as the user knows it, the line it starts on, and the line of each field.

    `sources` names, for a field path such as `source` or `steps[0].text`, the file that its text was read from.
    """

    file: str
    line: int = 0
    fields: dict[str, int] = {}
    sources: dict[str, str] = {}

    def at(self, field: str | None = None) -> str:
        """Return `file:line`, the line being that of `field` where the file has it."""
        line = self.fields.get(field, self.line) if field else self.line
        return f"{self.file}:{line}" if line else self.file


class Entry(msgspec.Struct, frozen=True):
    """One versioned registry entry.

    Invariant: `meta` and `data` are never mutated after construction; a change makes a new Entry.
    """

    id: str
    kind: str
    meta: dict[str, Any] = {}
    data: dict[str, Any] = {}
    place: Place | None = None

    @property
    def namespace(self) -> str:
        return split_id(self.id)[0]

    @property
    def name(self) -> str:
        return split_id(self.id)[1]

    def where(self, field: str | None = None) -> str:
        """Return `id (file:line)` for messages, or just the id for an entry made at run time."""
        return f"{self.id} ({self.place.at(field)})" if self.place else self.id

    def same_as(self, other: Entry) -> bool:
        """Tell whether both say the same, wherever they were written."""
        return self.id == other.id and self.kind == other.kind and self.meta == other.meta and self.data == other.data


def split_id(entry_id: str) -> tuple[str, str]:
    """Split `ns:name` at the first colon; without one the namespace is empty (reference: registry.parse_id)."""
    namespace, colon, name = entry_id.partition(":")
    return (namespace, name) if colon else ("", entry_id)


def join_id(namespace: str, name: str) -> str:
    """Return `namespace:name`.

    Raises Error(Invalid) when either part is empty.
    """
    if not namespace or not name:
        raise Error(f'entry id needs a namespace and a name, got "{namespace}:{name}"', INVALID)
    return f"{namespace}:{name}"


def qualify(reference: str, namespace: str) -> str:
    """Resolve a reference as written in an entry of `namespace`: a bare name means the same namespace."""
    return reference if ":" in reference else f"{namespace}:{reference}"
