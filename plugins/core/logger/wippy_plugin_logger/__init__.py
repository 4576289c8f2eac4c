"""Lua module `logger` (manual page lua/system/logger)."""

from wippy.module import WORKFLOW, Module, lua_source

__all__ = ["module"]

module = Module(name="logger", source=lua_source(__package__, "logger.lua"), module_class=WORKFLOW)
