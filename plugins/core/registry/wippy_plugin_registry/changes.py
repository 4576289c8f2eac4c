"""Changes as Lua describes them, turned into operations of the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.kinds import Kinds
from wippy.registry.change import Op, Operation, delta, order
from wippy.registry.entry import Entry, join_id, split_id

__all__ = ["build_delta", "operations", "to_lua"]


def to_lua(entry: Entry) -> dict[str, Any]:
    """Return an entry as programs see it: placeholders as they were written, and not where it came from."""
    return {"id": entry.id, "kind": entry.kind, "meta": entry.meta, "data": entry.data}


def operations(
    changes: Iterable[tuple[str, Mapping[str, Any]]], state: Mapping[str, Entry], kinds: Kinds
) -> list[Operation]:
    """Return the operations for `(op, entry)` pairs, in their order, against the current entries.

    Raises Error(Invalid) for what is no entry, Error(NotFound) for an update or deletion of one that is not there.
    """
    found = dict(state)
    result = []
    for word, fields in changes:
        op = Op(word)
        if op is Op.DELETE:
            entry = found.pop(_checked_id(fields["id"]), None)
            if entry is None:
                raise Error(f'cannot delete entry "{fields["id"]}": not found', NOT_FOUND, retryable=False)
            result.append(Operation(op, entry))
            continue
        entry = _entry(fields, kinds)
        before = found.get(entry.id) if op is Op.UPDATE else None
        if op is Op.UPDATE and before is None:
            raise Error(f'cannot update entry "{entry.id}": not found', NOT_FOUND, retryable=False)
        result.append(Operation(op, entry, before))
        found[entry.id] = entry
    return result


def build_delta(before: Iterable[Any], after: Iterable[Any], kinds: Kinds) -> list[dict[str, Any]]:
    """Return what turns one list of entries into the other, dependents going first and coming last.

    Raises Error(Invalid) for what is no entry.
    """
    old, new = ({e.id: e for e in (_entry(fields, kinds) for fields in entries)} for entries in (before, after))
    steps = delta(old, new)
    needs = {step.entry.id: tuple(kinds.needs(step.entry)) for step in steps}
    return [{"kind": str(step.op), "entry": to_lua(step.entry)} for step in order(steps, needs)]


def _checked_id(text: str) -> str:
    return join_id(*split_id(text))


def _entry(fields: Mapping[str, Any], kinds: Kinds) -> Entry:
    entry_id = _checked_id(fields["id"])
    entry = Entry(entry_id, fields["kind"], _mapping(fields, "meta", entry_id), _mapping(fields, "data", entry_id))
    return msgspec.structs.replace(entry, data=_with_maps(entry, kinds))


def _mapping(fields: Mapping[str, Any], name: str, entry_id: str) -> dict[str, Any]:
    # An empty Lua table may mean either, and arrives as a list.
    value = fields.get(name) or {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Error(f"entry {entry_id}: {name} must be a table of named fields", INVALID, retryable=False)
    return value


def _with_maps(entry: Entry, kinds: Kinds) -> dict[str, Any]:
    """Return the data with every empty table that its kind takes as a map turned into one (`imports = {}`)."""
    if [] not in entry.data.values():
        return entry.data
    try:
        config = kinds.of(entry).config
    except Error:
        return entry.data  # the registry says what is wrong with the kind
    maps = {field.encode_name for field in msgspec.structs.fields(config) if _takes_only_maps(field.type)}
    return {name: {} if value == [] and name in maps else value for name, value in entry.data.items()}


def _takes_only_maps(annotation: Any) -> bool:
    return _converts({}, annotation) and not _converts([], annotation)


def _converts(value: Any, annotation: Any) -> bool:
    try:
        msgspec.convert(value, annotation)
    except (msgspec.ValidationError, TypeError):
        return False
    return True
