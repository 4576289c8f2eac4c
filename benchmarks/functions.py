"""Calls of functions: from a process on the same worker, and from Python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from benchmarks.actors import actor, run, worker_host
from benchmarks.plain import SWITCH, PlainLua, per
from benchmarks.runner import Row, Settings, Target, alternate
from wippy.testing import app_of, function

__all__ = ["rows"]

ADD = function("bench:add", "return function(a, b) return a + b end")
CALLER = actor(
    "caller",
    """
    return function(n)
      local call = funcs.call
      for i = 1, n do
        local value, err = call("bench:add", i, 1)
        if err then return nil, err end
      end
    end
    """,
)


async def rows(settings: Settings) -> AsyncIterator[Row]:
    """Yield the figures of function calls."""
    calls, outside = settings.count(200_000), settings.count(20_000)
    plain = PlainLua()
    switch = plain.load(SWITCH)
    async with app_of(worker_host(), CALLER, ADD, virtual=False) as app:
        await run(app, "caller", 10)
        await app.call("bench:add", 1, 1)

        async def inside() -> float:
            return await run(app, "caller", calls) / calls * 1e6

        async def from_python() -> float:
            started = time.perf_counter()
            for _ in range(outside):
                await app.call("bench:add", 1, 2)
            return (time.perf_counter() - started) / outside * 1e6

        async def nothing(a: int, b: int) -> int:
            return a + b

        async def tasks() -> float:
            started = time.perf_counter()
            for _ in range(outside * 4):
                await asyncio.create_task(nothing(1, 2))
            return (time.perf_counter() - started) / (outside * 4) * 1e6

        found = await alternate(
            settings.rounds,
            inside=inside,
            switch=lambda: per(plain, switch, calls * 10),
            from_python=from_python,
            tasks=tasks,
        )
    against = "raw coroutine switch"
    yield Row("funcs.call, same worker", found["inside"], "µs", against, found["switch"], Target("ours", "<=", 5))
    yield Row("app.call from Python", found["from_python"], "µs", "asyncio task", found["tasks"])
