"""The one connection to a file, synchronous: who calls it sees to it that nobody else does."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from wippy.errors import INVALID, UNAVAILABLE, Error
from wippy.kind import Duration
from wippy_plugin_sql import Result, Rows, Value
from wippy_plugin_sqlite import times
from wippy_plugin_sqlite.failures import is_busy, is_interrupt, translate
from wippy_plugin_sqlite.statements import highest_number, reads, split
from wippy_plugin_sqlite.worker import Job

__all__ = ["MEMORY", "Connection", "Options"]

MEMORY = ":memory:"

#: Seconds that a query may take in the event loop before it moves to the thread. Measured: a query of one row takes 3 us
#: here and 17 us over the thread; the largest pause that this adds to the loop is the budget.
INLINE_BUDGET = 0.001
#: Instructions of SQLite's virtual machine between two looks at the time: 10-50 us.
PROGRESS_STEPS = 1_000

#: Seconds between two attempts while another connection holds the file.
FIRST_RETRY, LAST_RETRY = 0.0005, 0.05

_Outcome = TypeVar("_Outcome")


class Options(msgspec.Struct):
    """The `options` of a db.sql.sqlite entry.

    `busy_timeout`: how long to wait for another program that writes the file; `wait_timeout`: how long to wait for the
    connection while a transaction of this application holds it. `synchronous` "full" survives power loss.
    """

    busy_timeout: Duration = Duration(5)
    wait_timeout: Duration = Duration(30)
    synchronous: Literal["off", "normal", "full", "extra"] = "full"
    foreign_keys: bool = False


class Connection:
    """A sqlite3 connection in autocommit mode, and the ways to run a statement on it."""

    def __init__(self, entry: str, file: str, options: Options) -> None:
        self.entry = entry
        self.file = file
        self._options = options
        self._db: sqlite3.Connection | None = None
        self._deadline = 0.0

    @property
    def is_open(self) -> bool:
        return self._db is not None

    @property
    def in_transaction(self) -> bool:
        return self._db is not None and self._db.in_transaction

    def _fail(self, problem: sqlite3.Error | sqlite3.Warning) -> Error:
        return translate(problem, self.entry, self.file)

    # Life -------------------------------------------------------------------------------------------------------------

    def open(self, job: Job) -> None:
        """Open the file, making it and its directory where they do not exist.

        Raises Error that names the entry, the file and what to do.
        """
        times.register()
        if self.file != MEMORY:
            try:
                Path(self.file).parent.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise Error(
                    f"{self.entry}: cannot make the directory of {self.file}: {problem.strerror}: change field `file`, or "
                    f"the permissions",
                    UNAVAILABLE,
                    retryable=True,
                ) from None
        db = None
        try:
            db = sqlite3.connect(
                self.file,
                timeout=0,  # waiting for other programs is done here, where it can be cancelled
                isolation_level=None,
                check_same_thread=False,
                detect_types=sqlite3.PARSE_DECLTYPES,
                cached_statements=256,
            )
            self._db = db
            self._patiently(job, self._prepare)
        except sqlite3.Error as problem:
            self._db = None
            if db is not None:
                db.close()
            raise self._fail(problem) from None

    def _prepare(self) -> None:
        execute = self._connected.execute
        execute("PRAGMA journal_mode=WAL").fetchall()
        execute(f"PRAGMA synchronous={self._options.synchronous}")
        execute(f"PRAGMA foreign_keys={int(self._options.foreign_keys)}")
        execute("SELECT count(*) FROM sqlite_master").fetchall()  # the first read finds out what is no database

    def close(self, _job: Job) -> None:
        """Close it; an open transaction is lost."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def interrupt(self) -> None:
        """Stop the statement that runs on another thread."""
        if self._db is not None:
            self._db.interrupt()

    @property
    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            raise Error(f"database {self.entry} is closed", UNAVAILABLE, retryable=True)
        return self._db

    # In the event loop: short, or not at all --------------------------------------------------------------------------

    def attempt(self, sql: str, params: Sequence[Value]) -> Rows | None:
        """Run a statement that only reads; None when it takes too long or a lock is in the way, for `query` to do."""
        db = self._connected
        self._deadline = time.perf_counter() + INLINE_BUDGET
        db.set_progress_handler(self._late, PROGRESS_STEPS)
        try:
            return self._fetch(sql, params)
        except sqlite3.Error as problem:
            if is_interrupt(problem) or is_busy(problem):
                return None
            raise self._fail(problem) from None
        finally:
            db.set_progress_handler(None, 0)

    def _late(self) -> bool:
        return time.perf_counter() > self._deadline

    def control(self, sql: str) -> bool:
        """Run BEGIN, SAVEPOINT and the like; False when a lock is in the way."""
        try:
            self._connected.execute(sql)
        except sqlite3.Error as problem:
            if is_busy(problem):
                return False
            raise self._fail(problem) from None
        return True

    # On the thread ----------------------------------------------------------------------------------------------------

    def query(self, job: Job, sql: str, params: Sequence[Value]) -> Rows:
        """Run a statement and return its rows."""
        return self._guarded(job, lambda: self._fetch(sql, params))

    def execute(self, job: Job, sql: str, params: Sequence[Value]) -> Result:
        """Run a statement, or without parameters several, and return what the last one did."""
        try:
            return self._patiently(job, lambda: self._run(sql, params))
        except (sqlite3.ProgrammingError, sqlite3.Warning) as problem:
            if params or "one statement" not in str(problem):
                raise self._fail(problem) from None
        except sqlite3.Error as problem:
            raise self._fail(problem) from None
        result = Result()
        for statement in split(sql):
            if job.canceled:
                break
            result = self._guarded(job, partial(self._run, statement, ()))
        return result

    def check(self, _job: Job, sql: str) -> None:
        """Let SQLite compile a statement without running it."""
        try:
            self._connected.execute(f"EXPLAIN {sql}").close()
        except sqlite3.ProgrammingError as problem:
            # It compiled; that its parameters are missing is as it should be.
            if "number of bindings" not in str(problem):
                raise self._fail(problem) from None
        except sqlite3.Error as problem:
            raise self._fail(problem) from None

    def command(self, job: Job, sql: str) -> None:
        """Run a statement that has neither parameters nor rows, waiting for locks."""
        self._guarded(job, lambda: self._connected.execute(sql))

    def _guarded(self, job: Job, work: Callable[[], _Outcome]) -> _Outcome:
        try:
            return self._patiently(job, work)
        except (sqlite3.Error, sqlite3.Warning) as problem:
            raise self._fail(problem) from None

    def _patiently(self, job: Job, work: Callable[[], _Outcome]) -> _Outcome:
        """Do it again for as long as another program holds the file, up to the busy_timeout."""
        give_up = time.monotonic() + self._options.busy_timeout
        delay = FIRST_RETRY
        while True:
            try:
                return work()
            except sqlite3.Error as problem:
                if not is_busy(problem) or job.canceled or time.monotonic() >= give_up:
                    raise
            time.sleep(delay)
            delay = min(delay * 2, LAST_RETRY)

    # Statements -------------------------------------------------------------------------------------------------------

    def _bindings(self, sql: str, params: Sequence[Value]) -> Sequence[Value] | Mapping[str, Value]:
        highest = highest_number(sql)
        if not highest:
            return params
        if highest != len(params):
            raise Error(
                f"{self.entry}: the statement's parameters go up to ${highest}, and {len(params)} were given",
                INVALID,
                retryable=False,
            )
        return {str(number): value for number, value in enumerate(params, 1)}

    def _fetch(self, sql: str, params: Sequence[Value]) -> Rows:
        # Text that is not UTF-8 is given as bytes. Asking for that costs, so a statement that may run twice is tried
        # without it first.
        with times.reading_times():
            if reads(sql):
                try:
                    return self._rows(sql, params)
                except sqlite3.OperationalError as problem:
                    if "decode to UTF-8" not in str(problem):
                        raise
            db = self._connected
            db.text_factory = _lenient
            try:
                return self._rows(sql, params)
            finally:
                db.text_factory = str

    def _rows(self, sql: str, params: Sequence[Value]) -> Rows:
        try:
            cursor = self._connected.execute(sql, self._bindings(sql, params))
            rows = cursor.fetchall()
        except (OverflowError, UnicodeEncodeError) as problem:
            raise Error(f"{self.entry}: a parameter cannot be bound: {problem}", INVALID, retryable=False) from None
        return Rows([column[0] for column in cursor.description or ()], rows)

    def _run(self, sql: str, params: Sequence[Value]) -> Result:
        try:
            cursor = self._connected.execute(sql, self._bindings(sql, params))
            if cursor.description:
                cursor.fetchall()  # a statement with RETURNING is done when its rows are read
        except (OverflowError, UnicodeEncodeError) as problem:
            raise Error(f"{self.entry}: a parameter cannot be bound: {problem}", INVALID, retryable=False) from None
        return Result(cursor.lastrowid or 0, max(cursor.rowcount, 0))


def _lenient(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
