"""The kind process.lua (manual page lua/entries)."""

from __future__ import annotations

from typing import Any

from wippy.code import PROCESS
from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry, qualify
from wippy_plugin_lua import LuaConfig, LuaKind

__all__ = ["ProcessKind"]


class ProcessKind(LuaKind[LuaConfig]):
    """process.lua: the code of actors. `meta.default_host` lets it be called like a function."""

    config = LuaConfig
    use = PROCESS

    def options(self, entry: Entry, config: Any) -> dict[str, Any]:
        """Return the default host and the call options of `meta.options`."""
        if not config.method:
            raise Error(f"{entry.where()}: process.lua needs a `method`", INVALID)
        options = dict(entry.meta.get("options") or {})
        host = entry.meta.get("default_host") or options.pop("default_host", None)
        return {"default_host": qualify(host, entry.namespace) if host else None, "call_options": options or None}
