"""The commands behind the Lua module `events`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wippy.scheduler.commands import Call, Command
from wippy_plugin_events.bus import BUS, Event, EventBus, Subscription

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


def commands(app: App) -> Mapping[str, Command]:
    """Return the handlers. A subscription is known by its worker and the id of the sink that Lua opened for it."""
    bus = app.resources.get(BUS, EventBus)
    closers: dict[tuple[int, int], Any] = {}

    async def subscribe(call: Call, sink_id: int, system: str, kind: str | None = None) -> bool:
        key = (call.worker, sink_id)
        subscription: Subscription

        def drop() -> None:
            closers.pop(key, None)
            subscription.close()

        def receive(event: Event) -> None:
            sink.push(_to_lua(event))

        subscription = bus.subscribe(receive, system, kind)
        sink = call.sink(sink_id, drop)
        closers[key] = (drop, sink)
        return True

    async def unsubscribe(call: Call, sink_id: int) -> bool:
        if (call.worker, sink_id) in closers:
            drop, sink = closers[call.worker, sink_id]
            drop()
            sink.close()
        return True

    async def send(_call: Call, system: str, kind: str, path: str, data: Any = None) -> bool:
        bus.send(system, kind, path, data)
        return True

    return {"events.subscribe": subscribe, "events.unsubscribe": unsubscribe, "events.send": send}


def _to_lua(event: Event) -> dict[str, Any]:
    fields = {"system": event.system, "kind": event.kind, "path": event.path}
    return fields if event.data is None else {**fields, "data": event.data}
