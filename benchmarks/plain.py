"""Plain Lua in the same lupa, on a thread of the same priority as a worker's: what Lua figures are compared with."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lupa import lua54

__all__ = ["SWITCH", "PlainLua", "per"]

#: Resume and yield `n` times.
SWITCH = """
return function(n)
  local resume, yield = coroutine.resume, coroutine.yield
  local co = coroutine.create(function() while true do yield() end end)
  for i = 1, n do resume(co) end
end
"""

#: The nice value of worker threads (wippy.scheduler.worker).
NICE = 5


def _be_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class PlainLua:
    """A LuaRuntime without anything of ours, and a thread that runs it."""

    def __init__(self) -> None:
        self._lua = lua54.LuaRuntime(encoding=None)
        self._thread = ThreadPoolExecutor(1, initializer=_be_nice)

    def load(self, source: str) -> Any:
        """Return the value of a chunk."""
        return self._lua.execute(source.encode())

    async def seconds(self, function: Any, *args: Any) -> float:
        """Call a Lua function on the thread; returns how long it took."""

        def timed() -> float:
            started = time.perf_counter()
            function(*args)
            return time.perf_counter() - started

        return await asyncio.get_running_loop().run_in_executor(self._thread, timed)


async def per(lua: PlainLua, function: Any, count: int) -> float:
    """Return microseconds a repetition of `function(count)`."""
    return await lua.seconds(function, count) / count * 1e6
