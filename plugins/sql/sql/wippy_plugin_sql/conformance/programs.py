"""Lua programs: the module `sql` over the driver, from a function's call to its end."""

from __future__ import annotations

from typing import Any

from wippy.testing import app_of, function, run_lua
from wippy_plugin_sql.conformance.driver import SqlDriver, make_table, scalar
from wippy_plugin_sql.protocol import SqlDatabase

__all__ = [
    "test_a_call_that_ends_frees_its_transaction",
    "test_lua_reads_many_rows_like_few",
    "test_lua_reads_what_it_wrote",
    "test_lua_runs_a_transaction_with_savepoints",
]

BEGINNING = "local sql = require('sql') local db = assert(sql.get(...)) "


async def _run(driver: SqlDriver, body: str, *args: Any) -> Any:
    return await run_lua(
        BEGINNING + body, driver.entry.id, *args, modules=["sql"], entries=[driver.entry], virtual=False
    )


async def test_lua_reads_what_it_wrote(sql_driver: SqlDriver) -> None:
    d = sql_driver
    rows = await _run(
        d,
        f"""
        db:execute("DROP TABLE IF EXISTS conformance_lua")
        assert(db:execute("CREATE TABLE conformance_lua (i {d.integer}, r {d.real}, t {d.text}, b {d.blob})"))
        local insert = "INSERT INTO conformance_lua (i, r, t, b) VALUES ({d.marks(4)})"
        assert(db:execute(insert, 9007199254740993, 1.5, "text", sql.as.binary("bytes")).rows_affected == 1)
        assert(db:execute(insert, {{2, sql.as.float(2), sql.as.text("two"), sql.as.binary("\\255\\0")}}))
        assert(db:execute(insert, {{sql.as.int(3), sql.NULL, sql.as.null(), sql.NULL}}))
        local rows = assert(db:query("SELECT i, r, t, b FROM conformance_lua ORDER BY i"))
        assert(math.type(rows[1].r) == "integer", "an integral number is an integer")
        assert(rows[1].b == "\\255\\0" and rows[3].b == "bytes")
        rows[1].b, rows[3].b = nil, nil
        return rows
        """,
    )
    assert rows == [
        {"i": 2, "r": 2, "t": "two"},
        {"i": 3},
        {"i": 9007199254740993, "r": 1.5, "t": "text"},
    ]


async def test_lua_reads_many_rows_like_few(sql_driver: SqlDriver) -> None:
    d = sql_driver
    same = await _run(
        d,
        f"""
        db:execute("DROP TABLE IF EXISTS conformance_wide")
        assert(db:execute("CREATE TABLE conformance_wide (i {d.integer}, r {d.real}, t {d.text})"))
        local tx = assert(db:begin())
        for i = 1, 100 do
          local text = i % 3 == 0 and sql.NULL or "row " .. i
          assert(tx:execute("INSERT INTO conformance_wide (i, r, t) VALUES ({d.marks(3)})", i, sql.as.float(i / 4), text))
        end
        assert(tx:commit())
        local all = assert(db:query("SELECT i, r, t FROM conformance_wide ORDER BY i"))
        assert(#all == 100)
        for i = 1, 100 do
          local one = assert(db:query("SELECT i, r, t FROM conformance_wide WHERE i = {d.placeholder(1)}", i))[1]
          for _, name in ipairs({{"i", "r", "t"}}) do
            assert(one[name] == all[i][name] and math.type(one[name]) == math.type(all[i][name]), name .. " of " .. i)
          end
        end
        return true
        """,
    )
    assert same is True


async def test_lua_runs_a_transaction_with_savepoints(sql_driver: SqlDriver) -> None:
    d = sql_driver
    rows = await _run(
        d,
        f"""
        db:execute("DROP TABLE IF EXISTS conformance_steps")
        assert(db:execute("CREATE TABLE conformance_steps (id {d.integer})"))
        local tx = assert(db:begin({{isolation = sql.isolation.SERIALIZABLE, read_only = false}}))
        assert(tx:db_type() == db:type())
        local insert = assert(tx:prepare("INSERT INTO conformance_steps (id) VALUES ({d.placeholder(1)})"))
        assert(insert:execute({{1}}))
        assert(tx:savepoint("sp_1"))
        assert(insert:execute(2))
        assert(tx:rollback_to("sp_1"))
        assert(tx:release("sp_1"))
        assert(insert:close())
        assert(tx:commit())
        return assert(db:query("SELECT id FROM conformance_steps"))
        """,
    )
    assert rows == [{"id": 1}]


async def test_a_call_that_ends_frees_its_transaction(sql_driver: SqlDriver) -> None:
    d = sql_driver
    forgetful = function(
        "test:forgetful",
        f"""
        return function(...)
          {BEGINNING}
          local tx = assert(db:begin())
          assert(tx:execute("INSERT INTO conformance_forgotten (id) VALUES (1)"))
          return "done"
        end
        """,
        ["sql"],
    )
    async with app_of(d.entry, forgetful, virtual=False) as app:
        database = app.resources.get(d.entry.id, SqlDatabase)  # type: ignore[type-abstract]
        await make_table(database, "conformance_forgotten", f"id {d.integer}")
        for _ in range(3):
            assert await app.call("test:forgetful", d.entry.id) == "done"
        assert await scalar(database, "SELECT count(*) FROM conformance_forgotten") == 0
