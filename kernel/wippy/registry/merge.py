"""What an application boots with when its history outlives it: its files, and what earlier runs changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wippy.registry.change import Op
from wippy.registry.entry import Entry
from wippy.registry.history import Version

__all__ = ["boot_state"]


def boot_state(versions: Iterable[Version], files: Mapping[str, Entry]) -> dict[str, Entry]:
    """Merge files with a history, entry by entry.

    What a run changed stays as long as the file still says what it said then; where the file has changed since, the file
    holds. Entries that only a run made stay until something deletes them.
    """
    from_files: dict[str, Entry] = {}
    state: dict[str, Entry] = {}
    for version in versions:
        for operation in version.operations:
            entry = operation.entry
            for target in (state, from_files) if version.boot else (state,):
                if operation.op is Op.DELETE:
                    target.pop(entry.id, None)
                else:
                    target[entry.id] = entry
    for entry_id in from_files.keys() - files.keys():
        state.pop(entry_id, None)
    for entry_id, entry in files.items():
        before = from_files.get(entry_id)
        kept = state.get(entry_id)
        if before is None or not before.same_as(entry):
            state[entry_id] = entry
        elif kept is not None and kept.same_as(entry):
            state[entry_id] = entry  # the same content, and the place it has now
    return state
