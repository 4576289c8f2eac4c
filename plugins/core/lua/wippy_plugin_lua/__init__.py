"""The language side: the kind library.lua, the base of all kinds written in Lua, and the globals of every program."""

from wippy.module import DETERMINISTIC, WORKFLOW, Module, lua_source
from wippy_plugin_lua.kind import LibraryKind, LuaConfig, LuaKind
from wippy_plugin_lua.payload_commands import commands as payload_commands

__all__ = ["LibraryKind", "LuaConfig", "LuaKind", "channel", "errors", "os", "payload", "print_"]

channel = Module("channel", lua_source(__package__, "channel.lua"), module_class=WORKFLOW)
errors = Module("errors", lua_source(__package__, "errors.lua"), module_class=WORKFLOW)
payload = Module("payload", lua_source(__package__, "payload.lua"), payload_commands, DETERMINISTIC)
os = Module("os", lua_source(__package__, "os.lua"), module_class=WORKFLOW)
print_ = Module("print", lua_source(__package__, "print.lua"), module_class=WORKFLOW)
