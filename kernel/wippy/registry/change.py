"""Changes: operations, the order they run in, and what two states differ by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from wippy.registry.entry import Entry

__all__ = ["Op", "Operation", "delta", "order"]


class Op(StrEnum):
    """What an operation does; the values are what `snapshot:changes():ops()` reports in Lua."""

    CREATE = "entry.create"
    UPDATE = "entry.update"
    DELETE = "entry.delete"


class Operation(msgspec.Struct, frozen=True):
    """One step of a change. `before` is None for a create, `entry` is the entry as it was for a delete."""

    op: Op
    entry: Entry
    before: Entry | None = None

    def inverse(self) -> Operation:
        """Return the operation that undoes this one."""
        if self.op is Op.CREATE:
            return Operation(Op.DELETE, self.entry)
        if self.op is Op.DELETE:
            return Operation(Op.CREATE, self.entry)
        assert self.before is not None
        return Operation(Op.UPDATE, self.before, self.entry)


def delta(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Operation]:
    """Return the operations that turn one state into another, in no particular order."""
    operations = [Operation(Op.DELETE, entry) for key, entry in before.items() if key not in after]
    for key, entry in after.items():
        old = before.get(key)
        if old is None:
            operations.append(Operation(Op.CREATE, entry))
        elif not old.same_as(entry):
            operations.append(Operation(Op.UPDATE, entry, old))
    return operations


def order(operations: Iterable[Operation], needs: Mapping[str, Iterable[str]]) -> list[Operation]:
    """Sort operations so that what others need comes up first and goes down last.

    `needs` gives, for an entry id, the ids it depends on. A dependency cycle is broken where it is met: the kinds
    decide whether they can live with it. Operations without dependencies keep the order they were given in.
    """
    listed = list(operations)
    down = [o for o in listed if o.op is Op.DELETE]
    up = [o for o in listed if o.op is not Op.DELETE]
    return list(reversed(_dependencies_first(down, needs))) + _dependencies_first(up, needs)


def _dependencies_first(operations: list[Operation], needs: Mapping[str, Iterable[str]]) -> list[Operation]:
    by_id = {o.entry.id: o for o in operations}
    done: set[str] = set()
    result: list[Operation] = []
    for start in by_id:
        # An explicit stack: a chain of thousands of entries must not meet Python's recursion limit.
        stack = [(start, iter(needs.get(start, ())))]
        if start in done:
            continue
        done.add(start)
        while stack:
            current, dependencies = stack[-1]
            following = next((d for d in dependencies if d in by_id and d not in done), None)
            if following is None:
                stack.pop()
                result.append(by_id[current])
            else:
                done.add(following)
                stack.append((following, iter(needs.get(following, ()))))
    return result
