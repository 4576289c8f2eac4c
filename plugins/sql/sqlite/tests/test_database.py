"""What is SQLite's own: one connection and its line, files, locks, times, scripts, durability."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wippy.errors import CANCELED, CONFLICT, INTERNAL, INVALID, PERMISSION_DENIED, TIMEOUT, UNAVAILABLE, Error
from wippy.registry.entry import Entry
from wippy.scheduler.clock import RealClock, VirtualClock
from wippy.testing import app_at, app_of, function, host, process
from wippy_plugin_sql import SqlDatabase
from wippy_plugin_sqlite.connection import MEMORY, Options
from wippy_plugin_sqlite.database import SqliteDatabase

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000000) SELECT count(*) FROM n"


def db(file: str | Path = MEMORY, **data: Any) -> Entry:
    return Entry("app:db", "db.sql.sqlite", data={"file": str(file), **data})


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase("app:db", MEMORY, Options(), RealClock())
    yield opened
    await opened.close()


def resource(app: Any) -> SqliteDatabase:
    found = app.resources.get("app:db", SqlDatabase)
    assert isinstance(found, SqliteDatabase)
    return found


# Files -----------------------------------------------------------------------------------------------------------------


async def test_a_file_lies_in_the_application_and_its_directory_is_made(tmp_path: Path) -> None:
    source = "version: '1.0'\nnamespace: app\nentries:\n  - {name: db, kind: db.sql.sqlite, file: var/data/app.db}\n"
    async with app_at(tmp_path, {"_index.yaml": source}) as app:
        await resource(app).execute("CREATE TABLE t (a)")
        assert (tmp_path / "var/data/app.db").exists()
        assert (await resource(app).query("PRAGMA journal_mode")).rows == [("wal",)]
        assert (await resource(app).query("PRAGMA synchronous")).rows == [(2,)]
    assert not (tmp_path / "var/data/app.db-wal").exists(), "closing leaves one whole file"


async def test_without_auto_start_the_file_is_opened_by_its_first_user(tmp_path: Path) -> None:
    async with app_of(db(tmp_path / "app.db")) as app:
        assert not (tmp_path / "app.db").exists()
        assert resource(app).stats().open_connections == 0
        await resource(app).query("SELECT 1")
        assert (tmp_path / "app.db").exists()


async def test_a_file_that_is_no_database_stops_the_boot(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    file.write_text("this is a text, and a rather long one, for a database header has a hundred bytes\n" * 50)
    with pytest.raises(Error) as caught:
        async with app_of(db(file, lifecycle={"auto_start": True})):
            pass
    assert caught.value.kind == INTERNAL
    assert caught.value.message == (
        f"app:db: {file} is not a SQLite database (file is not a database): restore it from a backup, or move it away "
        f"(with its -wal and -shm files) to begin with an empty one"
    )


async def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with app_of(db(file)) as app:
        await resource(app).execute("CREATE TABLE t (a)")
        for _ in range(3):
            await resource(app).execute("INSERT INTO t VALUES (zeroblob(3000))")
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    file.write_bytes(content)
    async with app_of(db(file)) as app:
        with pytest.raises(Error, match="is damaged") as caught:
            await resource(app).query("SELECT * FROM t")
    assert caught.value.kind == INTERNAL


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with app_of(db(tmp_path / "file" / "app.db")) as app:
        with pytest.raises(Error, match=r"app:db: cannot make the directory of .*change field `file`") as caught:
            await resource(app).query("SELECT 1")
    assert caught.value.kind == UNAVAILABLE


async def test_a_directory_is_no_file(tmp_path: Path) -> None:
    async with app_of(db(tmp_path)) as app:
        with pytest.raises(Error, match=f"app:db: {tmp_path}: unable to open") as caught:
            await resource(app).query("SELECT 1")
    assert caught.value.kind == UNAVAILABLE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
async def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    sqlite3.connect(file).close()
    file.chmod(0o400)
    async with app_of(db(file)) as app:
        with pytest.raises(Error) as caught:
            await resource(app).execute("CREATE TABLE t (a)")
    assert caught.value.kind == PERMISSION_DENIED


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"file": None}, "file"),
        ({"file": ""}, "file"),
        ({"options": {"synchronous": "perhaps"}}, "options.synchronous"),
    ],
)
async def test_wrong_configuration_names_the_field(data: dict[str, Any], field: str) -> None:
    with pytest.raises(Error) as caught:
        async with app_of(Entry("app:db", "db.sql.sqlite", data={"file": MEMORY, **data})):
            pass
    assert field in caught.value.message
    assert "app:db" in caught.value.message


async def test_unknown_options_are_ignored_with_a_warning() -> None:
    async with app_of(db(options={"cache": "shared"}, pool={"max_lifetime": "1h"})) as app:
        assert (await resource(app).query("SELECT 1")).rows == [(1,)]
        assert any('"options.cache"' in warning for warning in app.warnings)


# Other programs --------------------------------------------------------------------------------------------------------


async def test_a_file_that_another_program_writes_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with app_of(db(file), virtual=False) as app:
        await resource(app).execute("CREATE TABLE t (a)")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(resource(app).execute("INSERT INTO t VALUES (1)"))
        while not resource(app).stats().in_use:
            await asyncio.sleep(0)
        # Readers are not disturbed by a writer of another program; here they stand behind our own.
        other.execute("COMMIT")
        other.close()
        assert (await waiting).rows_affected == 1


@pytest.mark.parametrize("begin", [True, False])
async def test_a_file_that_stays_locked_is_unavailable(tmp_path: Path, begin: bool) -> None:
    file = tmp_path / "app.db"
    async with app_of(db(file, options={"busy_timeout": "5ms"}), virtual=False) as app:
        await resource(app).execute("CREATE TABLE t (a)")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Error) as caught:
            await (resource(app).begin() if begin else resource(app).execute("INSERT INTO t VALUES (1)"))
        assert (caught.value.kind, caught.value.retryable) == (UNAVAILABLE, True)
        assert str(file) in caught.value.message
        assert (await resource(app).query("SELECT count(*) FROM t")).rows == [(0,)]
        other.execute("COMMIT")
        other.close()
        assert (await resource(app).execute("INSERT INTO t VALUES (1)")).rows_affected == 1


async def test_cancelling_ends_the_wait_for_another_program(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with app_of(db(file, options={"busy_timeout": "1h"}), virtual=False) as app:
        await resource(app).execute("CREATE TABLE t (a)")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.ensure_future(resource(app).begin())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other.close()
        assert (await resource(app).execute("INSERT INTO t VALUES (1)")).rows_affected == 1


WRITER = """
import asyncio, sys
from wippy.registry.entry import Entry
from wippy.testing import app_of
from wippy_plugin_sql import SqlDatabase

async def main():
    async with app_of(Entry("app:db", "db.sql.sqlite", data={"file": sys.argv[1]}), virtual=False) as app:
        database = app.resources.get("app:db", SqlDatabase)
        await database.execute("CREATE TABLE t (id INTEGER)")
        number = 0
        while True:
            transaction = await database.begin()
            await transaction.execute("INSERT INTO t VALUES (?)", [number])
            await transaction.execute("INSERT INTO t VALUES (?)", [-number])
            await transaction.commit()
            print(number, flush=True)
            number += 1

asyncio.run(main())
"""


async def test_committed_rows_survive_kill_9(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(25)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().split()]
    async with app_of(db(file)) as app:
        rows = [row[0] for row in (await resource(app).query("SELECT id FROM t ORDER BY rowid")).rows]
    assert told == list(range(len(told)))
    whole = [sign * number for number in range(len(rows) // 2) for sign in (1, -1)]
    assert rows == whole, "a transaction is there as a whole or not at all"
    assert len(rows) // 2 - len(told) in (0, 1), "what was reported as committed is there"


# The line before the one connection --------------------------------------------------------------------------------------


async def test_who_waits_for_a_transaction_comes_in_order(database: SqliteDatabase) -> None:
    await database.execute("CREATE TABLE t (id INTEGER)")
    transaction = await database.begin()
    order: list[str] = []

    async def waits(name: str, work: Any) -> None:
        await work
        order.append(name)

    tasks = []
    for name, work in (
        ("first", database.execute("INSERT INTO t VALUES (1)")),
        ("second", database.query("SELECT count(*) FROM t")),
        ("third", database.execute("INSERT INTO t VALUES (2)")),
    ):
        tasks.append(asyncio.ensure_future(waits(name, work)))
        await asyncio.sleep(0)
    await transaction.execute("INSERT INTO t VALUES (0)")
    assert order == []
    await transaction.commit()
    await asyncio.gather(*tasks)
    assert order == ["first", "second", "third"]
    assert (await database.query("SELECT id FROM t ORDER BY rowid")).rows == [(0,), (1,), (2,)]
    assert database.stats().wait_count == 3
    assert database.stats().wait_duration > 0


async def test_waiting_has_an_end() -> None:
    holds = """
    local time = require("time")
    return function()
      local tx = assert(require("sql").get("app:db"):begin())
      time.sleep("10s")
      return tx:commit()
    end
    """
    waits = "return function() return require('sql').get('app:db'):query('SELECT 1 AS one') end"
    entries = (
        db(options={"wait_timeout": "2s"}),
        function("app:holds", holds, ["sql", "time"]),
        function("app:waits", waits, ["sql"]),
    )
    async with app_of(*entries) as app:
        assert isinstance(app.clock, VirtualClock)
        with app.clock.hold():
            holder = asyncio.ensure_future(app.call("app:holds"))
            while not resource(app).stats().in_use:
                await asyncio.sleep(0)
        with pytest.raises(Error) as caught:
            await app.call("app:waits")
        assert app.clock.now() == pytest.approx(2)
        assert await holder is True
        assert app.clock.now() == pytest.approx(10)
        assert await app.call("app:waits") == [{"one": 1}]
    assert (caught.value.kind, caught.value.retryable) == (TIMEOUT, True)
    assert caught.value.message.startswith("app:db: a transaction of process {functions|0x")
    assert "held the only connection for 2 s" in caught.value.message


async def test_a_cancelled_waiter_leaves_the_line(database: SqliteDatabase) -> None:
    transaction = await database.begin()
    gone, stays = (asyncio.ensure_future(database.query("SELECT 1")) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await transaction.commit()
    assert (await stays).rows == [(1,)]
    assert gone.cancelled()
    assert database.stats().in_use == 0


async def test_a_turn_that_comes_with_a_cancellation_passes_on(database: SqliteDatabase) -> None:
    transaction = await database.begin()
    gone, stays = (asyncio.ensure_future(database.query("SELECT 1")) for _ in range(2))
    await asyncio.sleep(0)
    await transaction.commit()  # the turn is given to the first ...
    gone.cancel()  # ... who may already have it
    await asyncio.gather(gone, stays, return_exceptions=True)
    assert (await database.query("SELECT 1")).rows == [(1,)]
    assert database.stats().in_use == 0


async def test_statements_of_one_transaction_take_turns(database: SqliteDatabase) -> None:
    await database.execute("CREATE TABLE t (id INTEGER)")
    transaction = await database.begin()
    await asyncio.gather(*(transaction.execute("INSERT INTO t VALUES (?)", [n]) for n in range(10)))
    await transaction.commit()
    assert (await database.query("SELECT id FROM t ORDER BY rowid")).rows == [(n,) for n in range(10)]


async def test_closing_sends_everybody_away() -> None:
    database = SqliteDatabase("app:db", MEMORY, Options(), RealClock())
    transaction = await database.begin()
    running = asyncio.ensure_future(transaction.query(FOREVER))
    waiting = asyncio.ensure_future(database.query("SELECT 1"))
    await asyncio.sleep(0)
    await database.close()
    outcomes = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [o.kind for o in outcomes if isinstance(o, Error)] == [CANCELED, UNAVAILABLE]
    await database.close()


async def test_a_killed_process_stops_its_statement() -> None:
    runs = f"return function() return require('sql').get('app:db'):query([[{FOREVER}]]) end"
    async with app_of(db(), host(), process("app:runs", runs, ["sql"]), virtual=False) as app:
        pid = await app.spawn("app:runs", "app:processes")
        while not resource(app).stats().in_use:
            await app.node.processes("app:processes")
        await app.terminate(pid)
        assert (await resource(app).query("SELECT 1")).rows == [(1,)]


async def test_a_call_that_times_out_stops_its_statement() -> None:
    runs = f"return function() return require('sql').get('app:db'):query([[{FOREVER}]]) end"
    async with app_of(db(), function("app:runs", runs, ["sql"]), virtual=False) as app:
        with pytest.raises(Error) as caught:
            await app.call("app:runs", timeout=0.02)
        assert caught.value.kind == TIMEOUT
        assert (await resource(app).query("SELECT 1")).rows == [(1,)]


async def test_an_interrupted_write_ends_its_transaction(database: SqliteDatabase) -> None:
    await database.execute("CREATE TABLE t (id INTEGER)")
    transaction = await database.begin()
    task = asyncio.ensure_future(transaction.execute(f"INSERT INTO t SELECT * FROM ({FOREVER})"))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transaction.rollback()
    assert transaction.active is False
    assert (await database.query("SELECT count(*) FROM t")).rows == [(0,)]


# Statements ----------------------------------------------------------------------------------------------------------------


async def test_scripts_run_statement_by_statement(database: SqliteDatabase) -> None:
    script = "CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (';'); INSERT INTO t VALUES (2), (3)"
    assert (await database.execute(script)).rows_affected == 2
    assert (await database.query("SELECT a FROM t")).rows == [(";",), (2,), (3,)]
    transaction = await database.begin()
    await transaction.execute("DELETE FROM t; INSERT INTO t VALUES (4)")
    await transaction.rollback()
    assert (await database.query("SELECT count(*) FROM t")).rows == [(3,)]


@pytest.mark.parametrize("method", ["query", "prepare"])
async def test_only_execute_takes_scripts(database: SqliteDatabase, method: str) -> None:
    with pytest.raises(Error, match="one statement") as caught:
        await getattr(database, method)("SELECT 1; SELECT 2")
    assert caught.value.kind == INVALID


async def test_returning(database: SqliteDatabase) -> None:
    await database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    assert (await database.query("INSERT INTO t (a) VALUES (1), (2) RETURNING id")).rows == [(1,), (2,)]
    assert (await database.execute("INSERT INTO t (a) VALUES (3) RETURNING id")).rows_affected == 1
    assert (await database.query("SELECT count(*) FROM t")).rows == [(3,)]


async def test_a_begin_of_ones_own_is_refused(database: SqliteDatabase) -> None:
    with pytest.raises(Error, match=r"use db:begin\(\)") as caught:
        await database.execute("BEGIN")
    assert caught.value.kind == INVALID
    transaction = await database.begin()
    await transaction.commit()


async def test_a_commit_as_text_ends_the_transaction(database: SqliteDatabase) -> None:
    transaction = await database.begin()
    await transaction.execute("COMMIT")
    assert transaction.active is False
    assert (await database.query("SELECT 1")).rows == [(1,)]


async def test_foreign_keys() -> None:
    async with app_of(db(options={"foreign_keys": True})) as app:
        await resource(app).execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        await resource(app).execute("CREATE TABLE c (p INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)")
        transaction = await resource(app).begin()
        await transaction.execute("INSERT INTO c VALUES (1)")
        with pytest.raises(Error) as caught:
            await transaction.commit()
        assert caught.value.kind == CONFLICT
        assert transaction.active is True, "it can be repaired"
        await transaction.execute("INSERT INTO p VALUES (1)")
        await transaction.commit()


@pytest.mark.parametrize("declared", ["DATE", "DATETIME", "TIMESTAMP", "timestamp with time zone"])
@pytest.mark.parametrize(
    ("stored", "given"),
    [
        ("2024-05-06 07:08:09", "2024-05-06T07:08:09Z"),
        ("2024-05-06T07:08:09.250+02:00", "2024-05-06T05:08:09.25Z"),
        ("2024-05-06", "2024-05-06T00:00:00Z"),
        ("next week", "next week"),
        ("nan", "nan"),
        (1_700_000_000, 1_700_000_000),
        (0.5, 0.5),
        (None, None),
    ],
)
async def test_times(database: SqliteDatabase, declared: str, stored: Any, given: Any) -> None:
    await database.execute(f"CREATE TABLE t (moment {declared}, other TEXT)")
    await database.execute("INSERT INTO t VALUES ($1, $1)", [stored])
    ((moment, other),) = (await database.query("SELECT moment, other FROM t")).rows
    assert moment == given
    assert type(moment) is type(given)
    assert other == (None if stored is None else str(stored))


async def test_converters_of_other_libraries_go_on_working(database: SqliteDatabase) -> None:
    await database.query("SELECT 1")
    other = sqlite3.connect(MEMORY, detect_types=sqlite3.PARSE_DECLTYPES)
    other.execute("CREATE TABLE t (a DATETIME)")
    other.execute("INSERT INTO t VALUES ('2024-05-06 07:08:09')")
    assert other.execute("SELECT a FROM t").fetchone() == (b"2024-05-06 07:08:09",)
    other.close()


async def test_text_that_is_not_utf_8_is_given_as_bytes(database: SqliteDatabase) -> None:
    await database.execute("CREATE TABLE t (a, b)")
    insert = "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT), 'fine')"
    assert (await database.query(f"{insert} RETURNING a, b")).rows == [(b"\xffA", "fine")]
    assert (await database.query("SELECT a, b FROM t")).rows == [(b"\xffA", "fine")]


async def test_a_parameter_beyond_64_bits_is_invalid(database: SqliteDatabase) -> None:
    for run in (database.query, database.execute):
        with pytest.raises(Error) as caught:
            await run("SELECT ?", [2**63])
        assert caught.value.kind == INVALID
