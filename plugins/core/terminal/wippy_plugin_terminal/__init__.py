"""Command-line programs: the kind terminal.host and the Lua module `io`."""

from wippy.module import Module, lua_source
from wippy_plugin_terminal.commands import commands
from wippy_plugin_terminal.host import TerminalHost, TerminalKind
from wippy_plugin_terminal.streams import Streams

__all__ = ["Streams", "TerminalHost", "TerminalKind", "module"]

module = Module(name="io", source=lua_source(__package__, "io.lua"), commands=commands)
