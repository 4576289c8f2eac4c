"""Statements on a database: values, results, errors, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from wippy.errors import ALREADY_EXISTS, CONFLICT, INVALID, UNAVAILABLE, Error
from wippy.testing import app_of
from wippy_plugin_sql.conformance.driver import SqlDriver, fill, make_table, scalar
from wippy_plugin_sql.protocol import Rows, SqlDatabase, Value

__all__ = [
    "test_a_cancelled_statement_stops_and_the_database_stays_usable",
    "test_a_closed_database_says_so",
    "test_a_foreign_resource_is_no_database",
    "test_a_long_query_leaves_the_event_loop_alone",
    "test_a_prepared_statement_runs_again_and_again",
    "test_a_query_without_rows_has_no_rows",
    "test_a_statement_is_checked_when_it_is_prepared",
    "test_a_time_comes_back_as_rfc3339_in_utc",
    "test_a_unique_constraint_is_already_exists",
    "test_a_wrong_number_of_parameters_is_invalid",
    "test_execute_tells_the_id_it_made",
    "test_execute_tells_the_rows_it_touched",
    "test_many_queries_at_once",
    "test_many_rows",
    "test_other_constraints_are_invalid",
    "test_stats_count_connections",
    "test_syntax_and_unknown_tables_are_invalid",
    "test_the_database_names_its_dialect",
    "test_values_come_back_as_they_went_in",
]


async def test_the_database_names_its_dialect(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    assert database.dialect == sql_driver.dialect
    assert database.closed is False


async def test_a_foreign_resource_is_no_database(sql_driver: SqlDriver) -> None:
    async with app_of(sql_driver.entry, virtual=False) as app:
        app.resources.put("test:other", object())
        with pytest.raises(Error) as caught:
            app.resources.get("test:other", SqlDatabase)  # type: ignore[type-abstract]
    assert caught.value.kind == INVALID


@pytest.mark.parametrize(
    "row",
    [
        (0, 0.5, "", b""),
        (-(2**63), -1e308, "text with ' and \" and \\ and ünïcödé \U0001f600", bytes(range(256))),
        (2**63 - 1, 1e-300, "a\nb", b"\x00"),
        (None, None, None, None),
    ],
)
async def test_values_come_back_as_they_went_in(
    database: SqlDatabase, sql_driver: SqlDriver, row: Sequence[Value]
) -> None:
    d = sql_driver
    await make_table(database, "conformance_values", f"i {d.integer}, r {d.real}, t {d.text}, b {d.blob}")
    await database.execute(f"INSERT INTO conformance_values (i, r, t, b) VALUES ({d.marks(4)})", row)
    result = await database.query("SELECT i, r, t, b FROM conformance_values")
    assert list(result.columns) == ["i", "r", "t", "b"]
    assert [tuple(r) for r in result.rows] == [tuple(row)]
    assert [type(value) for value in result.rows[0]] == [type(value) for value in row]


async def test_a_time_comes_back_as_rfc3339_in_utc(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_times", f"moment {sql_driver.timestamp}")
    await database.execute("INSERT INTO conformance_times (moment) VALUES ('2024-05-06 07:08:09')")
    assert await scalar(database, "SELECT moment FROM conformance_times") == "2024-05-06T07:08:09Z"


async def test_a_query_without_rows_has_no_rows(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_empty", f"id {sql_driver.integer}")
    result = await database.query("SELECT id FROM conformance_empty")
    assert isinstance(result, Rows)
    assert list(result.columns) == ["id"]
    assert list(result.rows) == []


async def test_many_rows(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    d = sql_driver
    await make_table(database, "conformance_many", f"id {d.integer}, name {d.text}")
    transaction = await database.begin()
    for number in range(300):
        await transaction.execute(
            f"INSERT INTO conformance_many (id, name) VALUES ({d.marks(2)})", [number, f"name {number}"]
        )
    await transaction.commit()
    result = await database.query("SELECT id, name FROM conformance_many ORDER BY id")
    assert [tuple(row) for row in result.rows] == [(number, f"name {number}") for number in range(300)]


async def test_execute_tells_the_rows_it_touched(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_touched", f"id {sql_driver.integer}")
    await fill(database, sql_driver, "conformance_touched", 1, 2, 3)
    result = await database.execute(
        f"UPDATE conformance_touched SET id = id + 10 WHERE id > {sql_driver.placeholder(1)}", [1]
    )
    assert result.rows_affected == 2
    assert (await database.execute("DELETE FROM conformance_touched WHERE id = 99")).rows_affected == 0


async def test_execute_tells_the_id_it_made(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_ids", f"id {sql_driver.auto_key}, name {sql_driver.text}")
    insert = f"INSERT INTO conformance_ids (name) VALUES ({sql_driver.placeholder(1)})"
    results = [await database.execute(insert, [name]) for name in ("a", "b")]
    made = [row[0] for row in (await database.query("SELECT id FROM conformance_ids ORDER BY id")).rows]
    assert [r.last_insert_id for r in results] == (made if sql_driver.last_insert_id else [0, 0])


async def test_a_prepared_statement_runs_again_and_again(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_prepared", f"id {sql_driver.integer}")
    mark = sql_driver.placeholder(1)
    insert = await database.prepare(f"INSERT INTO conformance_prepared (id) VALUES ({mark})")
    assert [(await insert.execute([number])).rows_affected for number in (1, 2, 3)] == [1, 1, 1]
    select = await database.prepare(f"SELECT id FROM conformance_prepared WHERE id = {mark}")
    assert [tuple(row) for row in (await select.query([2])).rows] == [(2,)]
    assert list((await select.query([7])).rows) == []
    await insert.close()
    await insert.close()
    with pytest.raises(Error) as caught:
        await insert.execute([4])
    assert caught.value.kind == INVALID
    await select.close()


async def test_a_statement_is_checked_when_it_is_prepared(database: SqlDatabase) -> None:
    with pytest.raises(Error) as caught:
        await database.prepare("SELECT FROM WHERE")
    assert caught.value.kind == INVALID


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM conformance_no_such_table"])
async def test_syntax_and_unknown_tables_are_invalid(database: SqlDatabase, sql_driver: SqlDriver, sql: str) -> None:
    for run in (database.query, database.execute):
        with pytest.raises(Error) as caught:
            await run(sql)
        assert caught.value.kind == INVALID
        assert not caught.value.retryable
        assert sql_driver.entry.id in caught.value.message


async def test_a_wrong_number_of_parameters_is_invalid(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_parameters", f"a {sql_driver.integer}, b {sql_driver.integer}")
    for params in ([], [1], [1, 2, 3]):
        with pytest.raises(Error) as caught:
            await database.execute(f"INSERT INTO conformance_parameters (a, b) VALUES ({sql_driver.marks(2)})", params)
        assert caught.value.kind == INVALID


async def test_a_unique_constraint_is_already_exists(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_unique", f"id {sql_driver.integer} UNIQUE")
    await fill(database, sql_driver, "conformance_unique", 1)
    with pytest.raises(Error) as caught:
        await fill(database, sql_driver, "conformance_unique", 1)
    assert caught.value.kind == ALREADY_EXISTS
    assert caught.value.retryable is False


async def test_other_constraints_are_invalid(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_checked", f"id {sql_driver.integer} NOT NULL CHECK (id < 10)")
    for value in ("NULL", "10"):
        with pytest.raises(Error) as caught:
            await database.execute(f"INSERT INTO conformance_checked (id) VALUES ({value})")
        assert caught.value.kind in (INVALID, CONFLICT)
    assert await scalar(database, "SELECT count(*) FROM conformance_checked") == 0


async def test_many_queries_at_once(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await make_table(database, "conformance_at_once", f"id {sql_driver.integer}")
    await asyncio.gather(*(fill(database, sql_driver, "conformance_at_once", number) for number in range(20)))
    sums = await asyncio.gather(*(scalar(database, "SELECT count(*) FROM conformance_at_once") for _ in range(20)))
    assert sums == [20] * 20


async def _start(database: SqlDatabase, sql: str) -> asyncio.Task[Rows]:
    """Start a query and return once it has a connection."""
    await database.query("SELECT 1")
    task = asyncio.ensure_future(database.query(sql))
    while not database.stats().in_use:
        assert not task.done()
        await asyncio.sleep(0)
    return task


async def test_a_long_query_leaves_the_event_loop_alone(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    task = await _start(database, sql_driver.slow_query)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_statement_stops_and_the_database_stays_usable(
    database: SqlDatabase, sql_driver: SqlDriver
) -> None:
    for _ in range(3):
        task = await _start(database, sql_driver.slow_query)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert database.stats().in_use == 0
        assert await scalar(database, "SELECT 1") == 1


async def test_stats_count_connections(database: SqlDatabase) -> None:
    await database.query("SELECT 1")
    before = database.stats()
    assert before.open_connections >= 1
    assert before.in_use == 0
    transaction = await database.begin()
    assert database.stats().in_use == 1
    await transaction.rollback()
    assert database.stats().in_use == 0


async def test_a_closed_database_says_so(sql_driver: SqlDriver) -> None:
    async with app_of(sql_driver.entry, virtual=False) as app:
        database = app.resources.get(sql_driver.entry.id, SqlDatabase)  # type: ignore[type-abstract]
        await database.query("SELECT 1")
    assert database.closed is True
    with pytest.raises(Error) as caught:
        await database.query("SELECT 1")
    assert caught.value.kind == UNAVAILABLE
