"""The registry from Lua, and the kinds whose entries only hold data."""

from wippy.module import Module, lua_sources
from wippy_plugin_registry.commands import commands
from wippy_plugin_registry.kinds import DataKind

__all__ = ["DataKind", "module"]

module = Module(
    name="registry",
    source=lua_sources(__package__, "entries.lua", "versions.lua", "changes.lua", "registry.lua"),
    commands=commands,
    permissions={
        "get": "registry.get",
        "find": "registry.get",
        "Snapshot.get": "registry.get",
        "Snapshot.entries": "registry.get",
        "Snapshot.find": "registry.get",
        "Snapshot.namespace": "registry.get",
        "Changes.apply": "registry.apply",
        "apply_version": "registry.apply_version",
    },
)
