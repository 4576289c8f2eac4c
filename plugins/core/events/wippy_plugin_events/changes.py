"""Changes of the registry as events (manual page `internals/registry`, "Transactions").

Published when a change is committed, so nobody hears of one that was rejected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wippy.kinds import Kinds
from wippy.registry.change import Operation
from wippy_plugin_events.bus import EventBus

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["AnnouncedKinds"]

SYSTEM = "registry"
COMMIT = "registry.commit"


class AnnouncedKinds(Kinds):
    """The kinds of an App, which hear of every commit and here pass it on to the bus."""

    def __init__(self, app: App, bus: EventBus) -> None:
        super().__init__(app)
        self._bus = bus

    def committed(self, operations: Iterable[Operation]) -> None:
        """Tell the kinds, then publish each operation, and that the change is complete."""
        listed = list(operations)
        super().committed(listed)
        for operation in listed:
            entry = operation.entry
            # What the data says is left to registry.get, which checks permissions.
            data = {"id": entry.id, "kind": entry.kind, "meta": entry.meta}
            self._bus.send(SYSTEM, str(operation.op), entry.id, data)
        self._bus.send(SYSTEM, COMMIT, SYSTEM)
