"""The Lua module `time`: times, durations, zones, sleeping and timers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wippy.module import WORKFLOW, Module, lua_sources

if TYPE_CHECKING:
    from wippy.app import App
    from wippy.scheduler.commands import Call, Command

__all__ = ["module"]


async def _zone(_call: Call, name: str) -> dict[str, Any]:
    # Each VM asks once for a zone, and a file of two kilobytes is read faster than a thread is reached.
    from wippy_plugin_time.tzif import load_zone

    return load_zone(name)


def _commands(_app: App) -> Mapping[str, Command]:
    return {"time.zone": _zone}


module = Module(
    name="time",
    source=lua_sources(
        __package__,
        "calendar.lua",
        "duration.lua",
        "zones.lua",
        "layout.lua",
        "moment.lua",
        "parse.lua",
        "timers.lua",
        "time.lua",
    ),
    commands=_commands,
    module_class=WORKFLOW,
)
