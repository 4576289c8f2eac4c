"""Processes: what starting and ending one takes, and what an idle one occupies."""

from __future__ import annotations

from collections.abc import AsyncIterator

from benchmarks.actors import actor, run, worker_host
from benchmarks.child import measure
from benchmarks.plain import PlainLua, per
from benchmarks.runner import Row, Sample, Settings, Target, alternate
from wippy.testing import app_of

__all__ = ["rows"]

SPAWNER = actor(
    "spawner",
    """
    return function(n)
      local events = process.events()
      for i = 1, n do
        process.spawn_monitored("bench:brief", "bench:processes")
        events:receive()
      end
    end
    """,
)
BRIEF = actor("brief", "return function() end")

COROUTINE = """
return function(n)
  local create, resume = coroutine.create, coroutine.resume
  for i = 1, n do resume(create(function() end)) end
end
"""

KILOBYTE, MEGABYTE = 1024, 1024 * 1024

#: Idle processes of a full run; the target for all of them together holds for this many.
IDLE = 100_000


async def rows(settings: Settings) -> AsyncIterator[Row]:
    """Yield the figures of spawning and of memory."""
    spawns, idle = settings.count(100_000), settings.count(IDLE)
    plain = PlainLua()
    coroutine = plain.load(COROUTINE)
    async with app_of(worker_host(), SPAWNER, BRIEF, virtual=False) as app:
        await run(app, "spawner", 10)

        async def spawning() -> float:
            return await run(app, "spawner", spawns) / spawns * 1e6

        found = await alternate(settings.rounds, ours=spawning, plain=lambda: per(plain, coroutine, spawns * 5))
    what, against = "spawn + exit + monitor", "raw coroutine, created and run"
    yield Row(what, found["ours"], "µs", against, found["plain"], Target("ours", "<=", 10))

    reports: dict[str, list[dict[str, float]]] = {"processes": [], "coroutines": []}

    async def each(what: str) -> float:
        report = await measure("idle", what, str(idle))
        reports[what].append(report)
        return report["after"] / MEGABYTE

    whole = await alternate(settings.rounds, processes=lambda: each("processes"), coroutines=lambda: each("coroutines"))
    sizes = {
        name: Sample(tuple((report["after"] - report["before"]) / idle / KILOBYTE for report in several))
        for name, several in reports.items()
    }
    against = "raw suspended coroutine"
    yield Row("idle process", sizes["processes"], "KB", against, sizes["coroutines"], Target("ours", "<=", 4))
    full = Target("ours", "<=", 500) if idle >= IDLE else None
    what, against = f"resident, {idle:,} idle processes", "as many coroutines"
    yield Row(what, whole["processes"], "MB", against, whole["coroutines"], full)
