"""Functions: the kind function.lua and the Lua module funcs."""

from wippy.module import WORKFLOW, Module, lua_source
from wippy_plugin_function.kind import FunctionKind

__all__ = ["FunctionKind", "funcs"]

funcs = Module(
    "funcs",
    lua_source(__package__, "funcs.lua"),
    module_class=WORKFLOW,
    permissions={
        "call": "funcs.call",
        "async": "funcs.call",
        "with_context": "funcs.context",
        "with_actor": "funcs.security",
        "with_scope": "funcs.security",
    },
)
