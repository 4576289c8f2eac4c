"""Transactions: what they keep, what they undo, and how they end."""

from __future__ import annotations

import asyncio

import pytest

from wippy.errors import INVALID, Error
from wippy.testing import app_of
from wippy_plugin_sql.conformance.driver import SqlDriver, fill, make_table, scalar
from wippy_plugin_sql.protocol import ISOLATION, SqlDatabase

__all__ = [
    "test_a_cancelled_begin_leaves_no_transaction",
    "test_a_failed_statement_can_be_undone_to_a_savepoint",
    "test_a_prepared_statement_of_a_transaction_ends_with_it",
    "test_a_read_only_transaction_refuses_to_write",
    "test_a_rolled_back_transaction_leaves_nothing",
    "test_a_transaction_that_has_ended_is_not_active",
    "test_an_unfinished_transaction_is_lost_at_shutdown",
    "test_committed_rows_stay",
    "test_every_isolation_level_is_taken",
    "test_released_savepoints_keep_their_work",
    "test_rolling_back_twice_does_nothing",
    "test_savepoints_nest",
    "test_what_is_cancelled_in_a_transaction_leaves_it_to_be_rolled_back",
]

COUNT = "SELECT count(*) FROM conformance_work"


async def _table(database: SqlDatabase, driver: SqlDriver) -> None:
    await make_table(database, "conformance_work", f"id {driver.integer} UNIQUE")


async def test_committed_rows_stay(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin()
    assert transaction.active is True
    await fill(transaction, sql_driver, "conformance_work", 1, 2)
    assert await scalar(transaction, COUNT) == 2
    await transaction.commit()
    assert transaction.active is False
    assert await scalar(database, COUNT) == 2


async def test_a_rolled_back_transaction_leaves_nothing(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin()
    await fill(transaction, sql_driver, "conformance_work", 1, 2)
    await transaction.rollback()
    assert await scalar(database, COUNT) == 0


async def test_rolling_back_twice_does_nothing(database: SqlDatabase) -> None:
    transaction = await database.begin()
    await transaction.rollback()
    await transaction.rollback()
    assert transaction.active is False


async def test_a_transaction_that_has_ended_is_not_active(database: SqlDatabase) -> None:
    transaction = await database.begin()
    await transaction.commit()
    for use in (
        transaction.query("SELECT 1"),
        transaction.execute("SELECT 1"),
        transaction.prepare("SELECT 1"),
        transaction.savepoint("a"),
        transaction.rollback_to("a"),
        transaction.release("a"),
        transaction.commit(),
    ):
        with pytest.raises(Error) as caught:
            await use
        assert caught.value.kind == INVALID


async def test_savepoints_nest(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin()
    await fill(transaction, sql_driver, "conformance_work", 1)
    await transaction.savepoint("outer_1")
    await fill(transaction, sql_driver, "conformance_work", 2)
    await transaction.savepoint("inner_1")
    await fill(transaction, sql_driver, "conformance_work", 3)
    await transaction.rollback_to("inner_1")
    assert await scalar(transaction, COUNT) == 2
    await fill(transaction, sql_driver, "conformance_work", 4)
    await transaction.rollback_to("outer_1")
    assert await scalar(transaction, COUNT) == 1
    await transaction.commit()
    assert await scalar(database, COUNT) == 1


async def test_released_savepoints_keep_their_work(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin()
    await transaction.savepoint("a")
    await fill(transaction, sql_driver, "conformance_work", 1)
    await transaction.release("a")
    await transaction.commit()
    assert await scalar(database, COUNT) == 1


async def test_a_failed_statement_can_be_undone_to_a_savepoint(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin()
    await fill(transaction, sql_driver, "conformance_work", 1)
    await transaction.savepoint("a")
    with pytest.raises(Error):
        await fill(transaction, sql_driver, "conformance_work", 1)
    await transaction.rollback_to("a")
    await fill(transaction, sql_driver, "conformance_work", 2)
    await transaction.commit()
    assert await scalar(database, COUNT) == 2


async def test_a_read_only_transaction_refuses_to_write(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin(read_only=True)
    assert await scalar(transaction, COUNT) == 0
    with pytest.raises(Error) as caught:
        await fill(transaction, sql_driver, "conformance_work", 1)
    assert caught.value.kind == INVALID
    await transaction.rollback()
    await fill(database, sql_driver, "conformance_work", 1)
    assert await scalar(database, COUNT) == 1


@pytest.mark.parametrize("isolation", ISOLATION)
async def test_every_isolation_level_is_taken(database: SqlDatabase, isolation: str) -> None:
    transaction = await database.begin(isolation=isolation)
    assert await scalar(transaction, "SELECT 1") == 1
    await transaction.commit()


async def test_a_prepared_statement_of_a_transaction_ends_with_it(database: SqlDatabase, sql_driver: SqlDriver) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin()
    insert = await transaction.prepare(f"INSERT INTO conformance_work (id) VALUES ({sql_driver.placeholder(1)})")
    await insert.execute([1])
    await transaction.rollback()
    with pytest.raises(Error) as caught:
        await insert.execute([2])
    assert caught.value.kind == INVALID
    await insert.close()
    assert await scalar(database, COUNT) == 0


async def test_a_cancelled_begin_leaves_no_transaction(database: SqlDatabase) -> None:
    task = asyncio.ensure_future(database.begin())
    await asyncio.sleep(0)
    task.cancel()
    (begun,) = await asyncio.gather(task, return_exceptions=True)
    if not isinstance(begun, BaseException):
        await begun.rollback()  # it was faster than the cancellation
    assert database.stats().in_use == 0
    assert await scalar(database, "SELECT 1") == 1


async def test_what_is_cancelled_in_a_transaction_leaves_it_to_be_rolled_back(
    database: SqlDatabase, sql_driver: SqlDriver
) -> None:
    await _table(database, sql_driver)
    transaction = await database.begin()
    await fill(transaction, sql_driver, "conformance_work", 1)
    task = asyncio.ensure_future(transaction.query(sql_driver.slow_query))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transaction.rollback()
    assert await scalar(database, COUNT) == 0


async def test_an_unfinished_transaction_is_lost_at_shutdown(sql_driver: SqlDriver) -> None:
    async with app_of(sql_driver.entry, virtual=False) as app:
        database = app.resources.get(sql_driver.entry.id, SqlDatabase)  # type: ignore[type-abstract]
        await _table(database, sql_driver)
        transaction = await database.begin()
        await fill(transaction, sql_driver, "conformance_work", 1)
    assert transaction.active is False
