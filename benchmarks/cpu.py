"""Lua that only computes: inside a process, and plain in the same lupa."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from benchmarks.actors import actor, run, worker_host
from benchmarks.plain import PlainLua, per
from benchmarks.runner import Row, Settings, Target, alternate
from wippy.testing import app_of

__all__ = ["rows"]

#: Name, source, and how often a full run repeats it (about a third of a second).
LOADS = (
    (
        "integer loop",
        "return function(n) local x = 0 for i = 1, n do x = (x * 31 + i) % 65521 end return x end",
        25_000_000,
    ),
    (
        "recursion",
        """
        local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
        return function(n) local x = 0 for i = 1, n do x = x + fib(20) end return x end
        """,
        200,
    ),
    (
        "tables and strings",
        """
        return function(n)
          local x = 0
          for i = 1, n do
            local words = {}
            for j = 1, 50 do words[j] = tostring((j * 7919 + i) % 1000) end
            table.sort(words)
            x = x + #table.concat(words, ",")
          end
          return x
        end
        """,
        6_000,
    ),
)


async def rows(settings: Settings) -> AsyncIterator[Row]:
    """Yield the figures of computing."""
    plain = PlainLua()
    entries = [actor(f"load{i}", source) for i, (_, source, _) in enumerate(LOADS)]
    async with app_of(worker_host(), *entries, virtual=False) as app:
        for i, (what, source, full) in enumerate(LOADS):
            count = settings.count(full)
            function = plain.load(source)
            await run(app, f"load{i}", 1)

            async def inside(i: int = i, count: int = count) -> float:
                return await run(app, f"load{i}", count) / count * 1e6

            async def outside(function: Any = function, count: int = count) -> float:
                return await per(plain, function, count)

            found = await alternate(settings.rounds, inside=inside, plain=outside)
            target = Target("ratio", "<=", 1.05)
            yield Row(f"inside a process: {what}", found["inside"], "µs", "plain Lua", found["plain"], target)
