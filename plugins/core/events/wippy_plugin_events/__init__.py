"""The event bus: what is published reaches every subscription whose pattern matches, in Lua and in Python."""

from wippy.module import Module, lua_source
from wippy_plugin_events import hooks
from wippy_plugin_events.bus import BUS, Event, EventBus, Subscription
from wippy_plugin_events.commands import commands

__all__ = ["BUS", "Event", "EventBus", "Subscription", "hooks", "module"]

module = Module(
    name="events",
    source=lua_source(__package__, "events.lua"),
    commands=commands,
    permissions={"subscribe": "events.subscribe", "send": "events.send"},
)
