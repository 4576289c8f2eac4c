"""The commands behind the Lua module `env`. Permissions are checked in Lua, where the caller is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wippy.scheduler.commands import Call, Command
from wippy_plugin_env.variables import variables_of

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


def commands(app: App) -> Mapping[str, Command]:
    """Return the handlers."""
    variables = variables_of(app)

    async def get(_call: Call, name: str) -> str:
        return variables.get(name)

    async def set_value(_call: Call, name: str, value: str) -> bool:
        variables.set(name, value)
        return True

    async def get_all(_call: Call, permitted: list[str]) -> dict[str, str]:
        values = {name: variables.lookup(name) for name in permitted}
        return {name: value for name, value in values.items() if value is not None}

    async def names(_call: Call) -> list[str]:
        return list(variables.names())

    return {"env.get": get, "env.set": set_value, "env.get_all": get_all, "env.names": names}
