"""Entries written in Lua: what they share, and the kind that others import (manual page lua/entries)."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from wippy.code import LIBRARY, Code
from wippy.kind import ConfigType, Kind, Ref
from wippy.registry.entry import Entry

__all__ = ["LibraryKind", "LuaConfig", "LuaKind"]


class LuaConfig(msgspec.Struct, kw_only=True):
    """Fields of every entry written in Lua."""

    source: str
    method: str = ""
    modules: list[str] = []
    imports: dict[str, Ref] = {}
    security: dict[str, Any] | None = None


class LuaKind(Kind[ConfigType]):
    """Hands an entry's code to the kernel. Subclasses set `config`, a LuaConfig, and `use`."""

    #: How the code may be used: wippy.code.FUNCTION, PROCESS or LIBRARY.
    use: ClassVar[str]

    async def add(self, entry: Entry, config: ConfigType) -> None:
        self.app.code.put(self.code(entry, config))

    async def update(self, entry: Entry, config: ConfigType, before: Entry) -> None:
        """Replace the code in one step: running calls finish on the old one."""
        self.app.code.put(self.code(entry, config))

    async def delete(self, entry: Entry) -> None:
        self.app.code.remove(entry.id)

    def code(self, entry: Entry, config: Any) -> Code:
        """Return the code of an entry as the kernel takes it."""
        file = entry.place.sources.get("source") if entry.place else None
        return Code(
            id=entry.id,
            kind=self.use,
            source=config.source,
            file=file or entry.id,
            where=entry.where("source"),
            method=config.method,
            modules=config.modules,
            imports={alias: str(target) for alias, target in config.imports.items()},
            options={"security": config.security, **self.options(entry, config)},
        )

    def options(self, entry: Entry, config: Any) -> dict[str, Any]:
        """Return what the scheduler's Lua half should know of this entry."""
        return {}


class LibraryKind(LuaKind[LuaConfig]):
    """library.lua: code that other entries import."""

    config = LuaConfig
    use = LIBRARY
