"""Lua module `ctx` (manual page lua/core/context)."""

from wippy.module import WORKFLOW, Module, lua_source

__all__ = ["module"]

module = Module(name="ctx", source=lua_source(__package__, "ctx.lua"), module_class=WORKFLOW)
