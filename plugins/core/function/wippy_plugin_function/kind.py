"""The kind function.lua (manual page lua/entries)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from wippy.code import FUNCTION
from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry
from wippy_plugin_lua import LuaConfig, LuaKind

__all__ = ["FunctionConfig", "FunctionKind", "Pool"]

#: Instances of a function that says nothing about its pool (decision 16 of the reference), and of one that does.
DEFAULT_INSTANCES = 100
DEFAULT_POOL = 16
DEFAULT_STATIC = 8
WAITING_PER_INSTANCE = 64


class Pool(msgspec.Struct):
    """How many calls of a function run at once, and how many may wait."""

    type: Literal["inline", "lazy", "static", "adaptive"] | None = None
    size: int = 0
    workers: int = 0
    buffer: int = 0
    max_size: int = 0
    warm_start: bool = False

    def limits(self) -> dict[str, int]:
        """Return the instances and the waiting calls that this allows."""
        if self.type == "static" or (self.type is None and (self.workers or self.size)):
            most = self.workers or self.size or DEFAULT_STATIC
        else:
            most = self.max_size or DEFAULT_POOL
        return {"max_size": most, "buffer": self.buffer or most * WAITING_PER_INSTANCE}


class FunctionConfig(LuaConfig, kw_only=True):
    """Fields of function.lua."""

    pool: Pool | None = None


class FunctionKind(LuaKind[FunctionConfig]):
    """function.lua: stateless code that is called by its id."""

    config = FunctionConfig
    use = FUNCTION

    def options(self, entry: Entry, config: Any) -> dict[str, Any]:
        """Return pool limits and the call options of `meta.options`."""
        if not config.method:
            raise Error(f"{entry.where()}: function.lua needs a `method`", INVALID)
        pool = config.pool
        return {
            "pool": pool.limits()
            if pool
            else {"max_size": DEFAULT_INSTANCES, "buffer": DEFAULT_INSTANCES * WAITING_PER_INSTANCE},
            "call_options": entry.meta.get("options"),
        }
