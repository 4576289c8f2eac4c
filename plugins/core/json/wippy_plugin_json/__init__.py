"""Lua module `json` (manual page lua/data/json): the kernel's codec, and validation by JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from wippy.module import DETERMINISTIC, Module, lua_source
from wippy.scheduler.commands import Call, Command

if TYPE_CHECKING:
    from wippy.app import App
    from wippy_plugin_json.schema import Schemas

__all__ = ["module"]


def commands(_app: App) -> Mapping[str, Command]:
    @cache
    def schemas() -> Schemas:
        from wippy_plugin_json.schema import Schemas  # brings jsonschema along, which only validation needs

        return Schemas()

    async def validate(_call: Call, schema: str | bytes, document: str | bytes, from_table: bool) -> bool:
        return schemas().validate(schema, document, from_table)

    return {"json.validate": validate}


module = Module(
    name="json",
    source=lua_source(__package__, "json.lua"),
    commands=commands,
    module_class=DETERMINISTIC,
)
