"""SQL: the Lua module `sql`, and the protocol that database drivers implement (manual page lua/storage/sql)."""

from wippy.module import Module, lua_sources
from wippy_plugin_sql.commands import commands
from wippy_plugin_sql.protocol import (
    ISOLATION,
    Result,
    Rows,
    SqlConnection,
    SqlDatabase,
    SqlStatement,
    SqlTransaction,
    Stats,
    Value,
)
from wippy_plugin_sql.times import rfc3339

__all__ = [
    "ISOLATION",
    "Result",
    "Rows",
    "SqlConnection",
    "SqlDatabase",
    "SqlStatement",
    "SqlTransaction",
    "Stats",
    "Value",
    "module",
    "rfc3339",
]

module = Module(
    name="sql",
    source=lua_sources(__package__, "params.lua", "rows.lua", "handles.lua", "sql.lua"),
    commands=commands,
    permissions={"get": "db.get"},
)
