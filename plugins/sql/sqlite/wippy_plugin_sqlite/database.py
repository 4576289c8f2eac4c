"""A SQLite database as drivers of area sql provide it: who may use the one connection when, and on which thread.

Whatever only reads is tried in the event loop first, for a millisecond at most; everything else, and what takes longer,
runs on the database's own thread. Measured on a two-core machine: bare sqlite3 3 us a query, a hop to the thread and back
17 us in a busy loop and 60-100 us in an idle one.

One connection means: a transaction keeps everybody else waiting, in the order they came, for at most `wait_timeout`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from wippy.errors import INVALID, TIMEOUT, UNAVAILABLE, Error
from wippy.scheduler.clock import Clock
from wippy_plugin_sql import ISOLATION, Result, Rows, Stats, Value
from wippy_plugin_sqlite.connection import Connection, Options
from wippy_plugin_sqlite.line import Line
from wippy_plugin_sqlite.statements import reads
from wippy_plugin_sqlite.worker import Job, Worker

__all__ = ["SqliteDatabase"]

_Outcome = TypeVar("_Outcome")

#: Statements that are known to take longer than the budget go to the thread at once; so many are remembered.
MOST_SLOW = 256


class SqliteDatabase:
    """SqlDatabase on one file, or in memory. Opened by the first who uses it, or by `open`."""

    dialect = "sqlite"

    def __init__(self, entry: str, file: str, options: Options, clock: Clock) -> None:
        self.entry = entry
        self.closed = False
        self._wait_timeout = options.wait_timeout
        self._connection = Connection(entry, file, options)
        self._clock = clock
        self._worker: Worker | None = None
        self._line = Line(clock)
        self._transaction: Transaction | None = None
        self._slow: dict[str, None] = {}

    # Life -------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file now.

        Raises Error that names entry, file and what to do.
        """
        await self._exclusively(_nothing)

    async def close(self) -> None:
        """Interrupt what runs, roll back what is open, and close the file. Afterwards every use is an error."""
        if self.closed:
            return
        self.closed = True
        self._line.send_away(self._gone)
        if self._worker is None:
            return
        self._worker.cancel_current()
        if self._transaction is not None:
            await self._transaction.rollback()
        await self._line.take()
        try:
            await self._worker.run(self._connection.close)
        finally:
            self._worker.stop()
            self._worker = None
            self._line.send_away(self._gone)
            self._line.leave()

    def _gone(self) -> Error:
        return Error(f"database {self.entry} was closed", UNAVAILABLE, retryable=True)

    async def _ready(self) -> Worker:
        """Return the worker, with the file open; the caller has the connection."""
        if self.closed:
            raise self._gone()
        if self._worker is None:
            self._worker = Worker(f"sqlite {self.entry}", self._clock, self._connection.interrupt)
        if not self._connection.is_open:
            await self._worker.run(self._connection.open)
        return self._worker

    # Turns ------------------------------------------------------------------------------------------------------------

    def _late(self) -> Error:
        holder = self._transaction
        who = f"a transaction of process {holder.owner}" if holder and holder.owner else "another statement"
        return Error(
            f"{self.entry}: {who} has held the only connection for {self._wait_timeout:g} s: inside a transaction use its "
            f"own query and execute, and keep it short (options.wait_timeout)",
            TIMEOUT,
            retryable=True,
        )

    async def _take(self) -> None:
        if self.closed:
            raise self._gone()
        await self._line.take(self._wait_timeout, self._late)

    async def _exclusively(self, work: Callable[[Job], _Outcome]) -> _Outcome:
        await self._take()
        try:
            return await (await self._ready()).run(work)
        finally:
            self._line.leave()

    # SqlConnection ----------------------------------------------------------------------------------------------------

    async def query(self, sql: str, params: Sequence[Value] = ()) -> Rows:
        """See SqlConnection."""
        if not reads(sql):
            return await self._exclusively(lambda job: self._whole(self._connection.query(job, sql, params)))
        if self._line.free and self._connection.is_open:
            rows = self._attempt(sql, params)
            if rows is not None:
                return rows
            return await self._exclusively(lambda job: self._connection.query(job, sql, params))
        await self._take()
        try:
            return await self._read(sql, params)
        finally:
            self._line.leave()

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> Result:
        """See SqlConnection."""
        return await self._exclusively(lambda job: self._whole(self._connection.execute(job, sql, params)))

    async def prepare(self, sql: str) -> Statement:
        """See SqlConnection."""
        await self._exclusively(lambda job: self._connection.check(job, sql))
        return Statement(self, sql)

    def _whole(self, outcome: _Outcome) -> _Outcome:
        """Refuse a BEGIN of the caller's own: the next statement on this connection may be somebody else's."""
        if self._connection.in_transaction:
            self._connection.control("ROLLBACK")
            raise Error(f"{self.entry}: the statement left a transaction open, which was rolled back: use db:begin()",
                        INVALID, retryable=False)  # fmt: skip
        return outcome

    def _attempt(self, sql: str, params: Sequence[Value]) -> Rows | None:
        if sql in self._slow:
            return None
        rows = self._connection.attempt(sql, params)
        if rows is None:
            if len(self._slow) >= MOST_SLOW:
                self._slow.clear()
            self._slow[sql] = None
        return rows

    async def _read(self, sql: str, params: Sequence[Value]) -> Rows:
        """Run what only reads; the caller has the connection."""
        worker = await self._ready()
        rows = self._attempt(sql, params)
        if rows is not None:
            return rows
        return await worker.run(lambda job: self._connection.query(job, sql, params))

    # Transactions -----------------------------------------------------------------------------------------------------

    async def begin(self, *, isolation: str = "default", read_only: bool = False, owner: str = "") -> Transaction:
        """See SqlDatabase. Every isolation level is served with SQLite's own, which is serializable.

        A transaction that may write takes the file's write lock at once: it never fails later because another program
        wrote in between.
        """
        if isolation not in ISOLATION:
            raise Error(f'{self.entry}: unknown isolation level "{isolation}"', INVALID, retryable=False)
        await self._take()
        try:
            worker = await self._ready()
            start = "BEGIN" if read_only else "BEGIN IMMEDIATE"
            if not self._connection.control(start):
                await worker.run(lambda job: self._connection.command(job, start))
            if read_only:
                self._connection.control("PRAGMA query_only=1")
        except BaseException:
            if self._connection.in_transaction:  # cancelled in the moment in which it began
                self._connection.control("ROLLBACK")
            self._line.leave()
            raise
        self._transaction = Transaction(self, read_only, owner)
        return self._transaction

    def stats(self) -> Stats:
        """See SqlDatabase: one connection, once it is open."""
        opened = int(self._connection.is_open)
        in_use = int(opened and not self._line.free)
        return Stats(
            max_open_connections=1,
            open_connections=opened,
            in_use=in_use,
            idle=opened - in_use,
            wait_count=self._line.wait_count,
            wait_duration=round(self._line.wait_seconds * 1e9),
        )


class Transaction:
    """SqlTransaction: has the database's connection until it ends; its own statements take turns too."""

    def __init__(self, database: SqliteDatabase, read_only: bool, owner: str) -> None:
        self.owner = owner
        self.active = True
        self._database = database
        self._connection = database._connection
        self._read_only = read_only
        self._wrote = False
        self._turns = Line(database._clock)

    async def query(self, sql: str, params: Sequence[Value] = ()) -> Rows:
        """See SqlConnection."""
        if reads(sql):
            return await self._statement(lambda: self._database._read(sql, params))
        return await self._write(lambda job: self._connection.query(job, sql, params))

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> Result:
        """See SqlConnection."""
        return await self._write(lambda job: self._connection.execute(job, sql, params))

    async def prepare(self, sql: str) -> Statement:
        """See SqlConnection."""
        await self._statement(lambda: self._on_thread(lambda job: self._connection.check(job, sql)))
        return Statement(self, sql)

    async def savepoint(self, name: str) -> None:
        """See SqlTransaction."""
        await self._statement(lambda: self._control(f'SAVEPOINT "{name}"'))

    async def rollback_to(self, name: str) -> None:
        """See SqlTransaction."""
        await self._statement(lambda: self._control(f'ROLLBACK TO "{name}"'))

    async def release(self, name: str) -> None:
        """See SqlTransaction."""
        await self._statement(lambda: self._control(f'RELEASE "{name}"'))

    async def commit(self) -> None:
        """See SqlTransaction."""
        await self._statement(lambda: self._control("COMMIT"))

    async def rollback(self) -> None:
        """See SqlTransaction."""
        await self._turns.take()
        try:
            if self.active:
                await self._control("ROLLBACK")
        finally:
            self._leave(self._connection.in_transaction)

    async def _write(self, work: Callable[[Job], _Outcome]) -> _Outcome:
        self._wrote = True
        try:
            return await self._statement(lambda: self._on_thread(work))
        except Error as problem:
            if self._read_only and (problem.details or {}).get("code") == "SQLITE_READONLY":
                raise Error(f"{self._database.entry}: the transaction is read-only", INVALID, retryable=False) from None
            raise

    async def _on_thread(self, work: Callable[[Job], _Outcome]) -> _Outcome:
        return await (await self._database._ready()).run(work)

    async def _control(self, sql: str) -> None:
        # Without anything written there is nothing to wait for, neither a disk nor pages to restore.
        if self._wrote or not self._connection.control(sql):
            worker = self._database._worker
            assert worker is not None  # begin made it, and close rolls back before it takes it away
            await worker.run(lambda job: self._connection.command(job, sql))

    async def _statement(self, work: Callable[[], Awaitable[_Outcome]]) -> _Outcome:
        await self._turns.take()
        try:
            if not self.active:
                raise Error("transaction is not active: it was committed or rolled back", INVALID, retryable=False)
            return await work()
        finally:
            self._leave(self._connection.in_transaction)

    def _leave(self, goes_on: bool) -> None:
        """End a statement's turn, and the transaction too when SQLite says that it is over.

        That is so after COMMIT and ROLLBACK, and after some failures: an interrupted write, a full disk.
        """
        if self.active and not goes_on:
            self.active = False
            database = self._database
            database._transaction = None
            if self._read_only:
                self._connection.control("PRAGMA query_only=0")
            database._line.leave()
        self._turns.leave()


class Statement:
    """SqlStatement: SQLite's module keeps compiled statements by their text, so this keeps the text."""

    def __init__(self, connection: SqliteDatabase | Transaction, sql: str) -> None:
        self._connection = connection
        self._sql = sql
        self._closed = False

    async def query(self, params: Sequence[Value] = ()) -> Rows:
        """See SqlStatement."""
        self._check()
        return await self._connection.query(self._sql, params)

    async def execute(self, params: Sequence[Value] = ()) -> Result:
        """See SqlStatement."""
        self._check()
        return await self._connection.execute(self._sql, params)

    async def close(self) -> None:
        """See SqlStatement."""
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise Error("statement is closed", INVALID, retryable=False)


def _nothing(_job: Job) -> None:
    """Nothing more than to have the file open."""
