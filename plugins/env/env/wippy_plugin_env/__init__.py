"""Environment variables: where values are kept, the names they have, and the Lua module `env`."""

from wippy.module import Module, lua_source
from wippy_plugin_env.commands import commands
from wippy_plugin_env.kinds import FileKind, MemoryKind, OsKind, RouterKind, StaticKind, VariableKind
from wippy_plugin_env.storage import EnvStorage
from wippy_plugin_env.variables import Variable, Variables, variables_of

__all__ = [
    "EnvStorage",
    "FileKind",
    "MemoryKind",
    "OsKind",
    "RouterKind",
    "StaticKind",
    "Variable",
    "VariableKind",
    "Variables",
    "module",
    "variables_of",
]

module = Module(
    name="env",
    source=lua_source(__package__, "env.lua"),
    commands=commands,
    permissions={"get": "env.get", "get_all": "env.get", "set": "env.set"},
)
