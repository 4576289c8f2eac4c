"""The bus in the life of an application: it is there before anything else, and hears of the registry from the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wippy.plugin import hookimpl
from wippy_plugin_events.bus import BUS, EventBus
from wippy_plugin_events.changes import AnnouncedKinds

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["app_created"]


@hookimpl
def app_created(app: App) -> None:
    """Provide the bus to everybody, and put it where commits are reported."""
    bus = EventBus()
    app.resources.put(BUS, bus)
    app.kinds = AnnouncedKinds(app, bus)
