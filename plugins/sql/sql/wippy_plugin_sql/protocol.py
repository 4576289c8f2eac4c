"""What a SQL driver provides: databases, transactions and statements, reached by entry id through `SqlDatabase`.

Values are None, bool, int (64 bits), float, str and bytes, in both directions; a driver turns everything else into
these (times become RFC 3339 text in UTC, decimals text). SQL and its placeholders are the driver's own dialect.

Errors are wippy.errors.Error. Every driver uses these kinds (the conformance kit checks them):

    AlreadyExists   a unique or primary key constraint is violated
    Conflict        a foreign key is violated; or a transaction lost against another one (retryable)
    Invalid         SQL that the database rejects, wrong parameters, other constraints, an ended transaction
    Timeout         nobody gave up the connection in time (retryable)
    Unavailable     the database cannot be reached, or is locked by somebody else (retryable)
    Canceled        the statement was interrupted

Cancelling the task that waits for a method interrupts the statement; the method ends when the statement has ended, and
leaves the connection usable. A cancelled `begin` leaves no transaction behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

__all__ = [
    "ISOLATION",
    "Result",
    "Rows",
    "SqlConnection",
    "SqlDatabase",
    "SqlStatement",
    "SqlTransaction",
    "Stats",
    "Value",
]

Value: TypeAlias = bool | int | float | str | bytes | None

#: The isolation levels of `sql.isolation`; a driver that cannot give one gives a stronger one, or raises Error(Invalid).
ISOLATION = ("default", "read_uncommitted", "read_committed", "write_committed", "repeatable_read", "serializable")


class Rows(msgspec.Struct, frozen=True):
    """The rows of a query, each as long as `columns`."""

    columns: Sequence[str]
    rows: Sequence[tuple[Value, ...]]


class Result(msgspec.Struct, frozen=True):
    """What a statement did. `last_insert_id` is 0 where the database tells none."""

    last_insert_id: int = 0
    rows_affected: int = 0


class Stats(msgspec.Struct):
    """Connection counts of a database (manual page lua/storage/sql, `db:stats`). `wait_duration` is in nanoseconds."""

    max_open_connections: int = 0
    open_connections: int = 0
    in_use: int = 0
    idle: int = 0
    wait_count: int = 0
    wait_duration: int = 0
    max_idle_closed: int = 0
    max_idle_time_closed: int = 0
    max_lifetime_closed: int = 0


class SqlStatement(Protocol):
    """A prepared statement."""

    async def query(self, params: Sequence[Value] = ()) -> Rows:
        """Run it and return its rows."""

    async def execute(self, params: Sequence[Value] = ()) -> Result:
        """Run it and return what it did."""

    async def close(self) -> None:
        """Free it; closing twice does nothing."""


class SqlConnection(Protocol):
    """What runs SQL: a database, each statement on its own, or a transaction."""

    async def query(self, sql: str, params: Sequence[Value] = ()) -> Rows:
        """Run one statement and return its rows."""

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> Result:
        """Run a statement and return what it did; several statements, where the driver takes them, only without params."""

    async def prepare(self, sql: str) -> SqlStatement:
        """Have the database check one statement and keep it ready.

        Raises Error(Invalid) for SQL that it rejects.
        """


class SqlTransaction(SqlConnection, Protocol):
    """A transaction. Once it ended, everything but `rollback` raises Error(Invalid); savepoints nest."""

    async def savepoint(self, name: str) -> None:
        """Mark a point; `name` consists of letters, digits and underscores."""

    async def rollback_to(self, name: str) -> None:
        """Undo what was done since a savepoint, which stays."""

    async def release(self, name: str) -> None:
        """Forget a savepoint, keeping what was done since."""

    async def commit(self) -> None:
        """Make it permanent; when this returns it survives a crash."""

    async def rollback(self) -> None:
        """Undo everything; does nothing on a transaction that has ended."""

    @property
    def active(self) -> bool:
        """Whether it can still be used."""


@runtime_checkable
class SqlDatabase(Protocol):
    """A database, as `app.resources.get(entry_id, SqlDatabase)` gives it."""

    #: "sqlite", "postgres", "mysql", or what else a driver calls itself.
    dialect: str
    #: True once its entry is gone: get it again.
    closed: bool

    async def query(self, sql: str, params: Sequence[Value] = ()) -> Rows:
        """See SqlConnection."""

    async def execute(self, sql: str, params: Sequence[Value] = ()) -> Result:
        """See SqlConnection."""

    async def prepare(self, sql: str) -> SqlStatement:
        """See SqlConnection."""

    async def begin(self, *, isolation: str = "default", read_only: bool = False, owner: str = "") -> SqlTransaction:
        """Begin a transaction; `owner` (a pid) is named in the errors of those who wait for it."""

    def stats(self) -> Stats:
        """Return the state of the connections."""
