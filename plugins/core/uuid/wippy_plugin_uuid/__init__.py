"""Lua module `uuid` (manual page lua/security/uuid)."""

from wippy.module import WORKFLOW, Module, lua_sources

__all__ = ["module"]

module = Module(
    name="uuid",
    source=lua_sources(__package__, "digests.lua", "uuid.lua"),
    module_class=WORKFLOW,
)
