"""SQL: `db:query` of one row from Lua, over the drivers that Python programs use."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.environment import installed, need_kind
from benchmarks.runner import Line, Row, Settings, Skipped, Target, alternate
from wippy.registry.entry import Entry
from wippy.testing import app_of, function

__all__ = ["rows"]

ROWS = 1_000
#: sqlite3 without a thread is that much quicker, and gets more queries, so that every side runs for as long.
DIRECT = 10
QUERY = "SELECT id, name, price FROM item WHERE id = ?"

LOOP = function(
    "bench:queries",
    """
    local sql = require("sql")
    return function(n, rows)
      local db = assert(sql.get("bench:db"))
      for i = 1, n do
        local found, err = db:query("SELECT id, name, price FROM item WHERE id = ?", {i % rows + 1})
        if err then return nil, err end
        assert(#found == 1)
      end
      db:release()
    end
    """,
    ["sql"],
)


def make_database(path: Path) -> None:
    """Write a database with one indexed table."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
    items = [(number, f"item {number}", number / 7) for number in range(1, ROWS + 1)]
    connection.executemany("INSERT INTO item VALUES (?, ?, ?)", items)
    connection.commit()
    connection.close()


async def rows(settings: Settings) -> AsyncIterator[Line]:
    """Yield the figures of one-row queries; they only read, so no sync mode plays a part."""
    need_kind("db.sql.sqlite")
    queries = settings.count(5_000)
    async with AsyncExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "bench.db")
        make_database(path)
        db = Entry("bench:db", "db.sql.sqlite", data={"file": str(path), "lifecycle": {"auto_start": True}})
        app = await stack.enter_async_context(app_of(db, LOOP, virtual=False))
        await app.call("bench:queries", 10, ROWS)
        connection = sqlite3.connect(path, check_same_thread=False)
        stack.callback(connection.close)

        def one(number: int) -> object:
            return connection.execute(QUERY, (number,)).fetchall()

        async def from_lua() -> None:
            await app.call("bench:queries", queries, ROWS)

        async def direct() -> None:
            for i in range(queries * DIRECT):
                one(i % ROWS + 1)

        async def in_thread() -> None:
            run = asyncio.get_running_loop().run_in_executor
            for i in range(queries):
                await run(None, one, i % ROWS + 1)

        def timed(work: Callable[[], Awaitable[None]], count: int = queries) -> Callable[[], Awaitable[float]]:
            async def microseconds() -> float:
                started = time.perf_counter()
                await work()
                return (time.perf_counter() - started) / count * 1e6

            return microseconds

        sides = {"lua": timed(from_lua), "direct": timed(direct, queries * DIRECT), "in_thread": timed(in_thread)}
        if installed("aiosqlite"):
            import aiosqlite

            remote = await stack.enter_async_context(aiosqlite.connect(path))

            async def over_aiosqlite() -> None:
                for i in range(queries):
                    async with remote.execute(QUERY, (i % ROWS + 1,)) as cursor:
                        await cursor.fetchall()

            sides["aiosqlite"] = timed(over_aiosqlite)
        found = await alternate(settings.rounds, **sides)
        ours, what, target = found["lua"], "db:query of one row (WAL, read only)", Target("ratio", "<=", 1.5)
        if "aiosqlite" in found:
            yield Row(what, ours, "µs", "aiosqlite", found["aiosqlite"], target)
        else:
            yield Skipped(f"{what} over aiosqlite", "aiosqlite is not installed; the thread below stands in for it")
        stands_in = None if "aiosqlite" in found else target
        yield Row(what, ours, "µs", "sqlite3 in a thread", found["in_thread"], stands_in)
        yield Row(what, ours, "µs", "sqlite3, blocking the loop", found["direct"])
