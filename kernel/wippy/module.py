"""Lua modules: what a plugin says about the module it provides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from wippy.scheduler.commands import Command

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["DETERMINISTIC", "IO", "WORKFLOW", "Module", "lua_source", "lua_sources"]

#: Classes of modules, by what `workflow.lua` may use: the same result every time; recorded by the workflow engine;
#: not allowed there.
DETERMINISTIC = "deterministic"
WORKFLOW = "workflow"
IO = "io"


class Module(msgspec.Struct, frozen=True):
    """A Lua module or global.

    `source` holds Lua chunks that run once per worker, in order: each gets the kernel table, and what the last one
    returns is what user code gets, frozen. `commands` makes the async Python commands that the chunks call with
    `kernel.command(name, ...)`; it is called once per App, when the first entry uses the module. `permissions` maps each
    function to the action that it checks.
    """

    name: str
    source: str | tuple[str, ...]
    commands: Callable[[App], Mapping[str, Command]] | None = None
    module_class: str = IO
    permissions: Mapping[str, str] = {}


def lua_source(package: str, name: str) -> str:
    """Read a Lua file that lies beside a plugin's Python code."""
    return (resources.files(package) / name).read_text(encoding="utf-8")


def lua_sources(package: str, *names: str) -> tuple[str, ...]:
    """Read several Lua files that lie beside a plugin's Python code; the last one returns the module."""
    return tuple(lua_source(package, name) for name in names)
