"""What the kit needs to know of a driver, and the database that its tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from wippy.registry.entry import Entry
from wippy.testing import app_of
from wippy_plugin_sql.protocol import Rows, SqlConnection, SqlDatabase, Value

__all__ = ["SqlDriver", "database", "fill", "make_table", "scalar"]


class SqlDriver(msgspec.Struct, kw_only=True):
    """What a driver's fixture `sql_driver` returns: an entry that gives an empty or private database, and its dialect.

    `slow_query` runs for a minute or more unless it is interrupted. `auto_key` declares a key that numbers itself.
    `last_insert_id`: whether the database tells the key it gave. `text_key` is a text type that may be a key.
    """

    entry: Entry
    dialect: str
    slow_query: str
    placeholder: Callable[[int], str] = lambda _number: "?"
    integer: str = "BIGINT"
    real: str = "DOUBLE PRECISION"
    text: str = "TEXT"
    text_key: str = "VARCHAR(100)"
    blob: str = "BLOB"
    timestamp: str = "TIMESTAMP"
    auto_key: str = "BIGINT PRIMARY KEY"
    last_insert_id: bool = True

    def marks(self, count: int) -> str:
        """Return `count` placeholders with commas between them."""
        return ", ".join(self.placeholder(number) for number in range(1, count + 1))


@pytest.fixture
async def database(sql_driver: SqlDriver) -> AsyncIterator[SqlDatabase]:
    """The driver's database in an application of its own, in real time."""
    async with app_of(sql_driver.entry, virtual=False) as app:
        yield app.resources.get(sql_driver.entry.id, SqlDatabase)  # type: ignore[type-abstract]


async def make_table(database: SqlConnection, name: str, columns: str) -> None:
    """Make a table anew; the database may remember an earlier run."""
    await database.execute(f"DROP TABLE IF EXISTS {name}")
    await database.execute(f"CREATE TABLE {name} ({columns})")


async def fill(database: SqlConnection, driver: SqlDriver, table: str, *ids: int) -> None:
    """Insert rows into a table with one integer column `id`."""
    for identity in ids:
        await database.execute(f"INSERT INTO {table} (id) VALUES ({driver.placeholder(1)})", [identity])


async def scalar(database: SqlConnection, sql: str) -> Value:
    """Return the one value of a query."""
    result: Rows = await database.query(sql)
    ((value,),) = result.rows
    return value
