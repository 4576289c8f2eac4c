"""The commands behind the Lua module: databases by entry id, and what each process holds of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from wippy.errors import INVALID, Error
from wippy.scheduler.commands import Call, Command
from wippy_plugin_sql.packing import pack_rows
from wippy_plugin_sql.protocol import SqlConnection, SqlDatabase, SqlStatement, SqlTransaction, Value

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


class _Sessions:
    """Transactions and statements that Lua holds, by number, and whose they are.

    Invariant: a number is in `_owned` of its process exactly as long as it is in one of the two tables.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._databases: dict[str, SqlDatabase] = {}
        self._transactions: dict[int, SqlTransaction] = {}
        self._statements: dict[int, SqlStatement] = {}
        self._owned: dict[str, set[int]] = {}
        self._numbers = itertools.count(1)

    def table(self) -> Mapping[str, Command]:
        return {
            "sql.get": self.get,
            "sql.stats": self.stats,
            "sql.query": self.query,
            "sql.execute": self.execute,
            "sql.prepare": self.prepare,
            "sql.begin": self.begin,
            "sql.savepoint": self.savepoint,
            "sql.end": self.end,
            "sql.statement_query": self.statement_query,
            "sql.statement_execute": self.statement_execute,
            "sql.close": self.close,
            "sql.abandon": self.abandon,
        }

    # Finding ----------------------------------------------------------------------------------------------------------

    def _database(self, entry_id: str) -> SqlDatabase:
        # Looking through a protocol costs more than a short query does: ask again only when the entry was replaced.
        database = self._databases.get(entry_id)
        if database is None or database.closed:
            database = self._app.resources.get(entry_id, SqlDatabase)  # type: ignore[type-abstract]
            self._databases[entry_id] = database
        return database

    def _transaction(self, number: int) -> SqlTransaction:
        transaction = self._transactions.get(number)
        if transaction is None:
            raise Error("transaction is not active: it was committed, rolled back, or its call has ended", INVALID,
                        retryable=False)  # fmt: skip
        return transaction

    def _connection(self, target: str | int) -> SqlConnection:
        return self._database(target) if isinstance(target, str) else self._transaction(target)

    def _statement(self, number: int) -> SqlStatement:
        statement = self._statements.get(number)
        if statement is None:
            raise Error("statement is closed", INVALID, retryable=False)
        return statement

    def _drop(self, pid: str, number: int) -> None:
        self._transactions.pop(number, None)
        self._statements.pop(number, None)
        owned = self._owned.get(pid)
        if owned is not None:
            owned.discard(number)
            if not owned:
                del self._owned[pid]

    # Commands ---------------------------------------------------------------------------------------------------------

    async def get(self, _call: Call, entry_id: str) -> str:
        return self._database(entry_id).dialect

    async def stats(self, _call: Call, entry_id: str) -> dict[str, int]:
        stats: dict[str, int] = msgspec.structs.asdict(self._database(entry_id).stats())
        return stats

    async def query(
        self, _call: Call, target: str | int, sql: str | bytes, params: list[Value], binary: Sequence[int] | None = None
    ) -> list[dict[str, Value]] | bytes:
        return pack_rows(await self._connection(target).query(_text(sql), _bind(params, binary)))

    async def execute(
        self, _call: Call, target: str | int, sql: str | bytes, params: list[Value], binary: Sequence[int] | None = None
    ) -> dict[str, int]:
        result = await self._connection(target).execute(_text(sql), _bind(params, binary))
        return {"last_insert_id": result.last_insert_id, "rows_affected": result.rows_affected}

    async def prepare(self, call: Call, target: str | int, sql: str | bytes) -> int:
        statement = await self._connection(target).prepare(_text(sql))
        number = next(self._numbers)
        self._statements[number] = statement
        self._owned.setdefault(call.pid, set()).add(number)
        return number

    async def begin(self, call: Call, entry_id: str, isolation: str, read_only: bool) -> int:
        transaction = await self._database(entry_id).begin(isolation=isolation, read_only=read_only, owner=call.pid)
        number = next(self._numbers)
        self._transactions[number] = transaction
        self._owned.setdefault(call.pid, set()).add(number)
        return number

    async def savepoint(self, _call: Call, number: int, operation: str, name: str) -> bool:
        transaction = self._transaction(number)
        operations = {
            "savepoint": transaction.savepoint,
            "rollback_to": transaction.rollback_to,
            "release": transaction.release,
        }
        await operations[operation](name)
        return True

    async def end(self, call: Call, number: int, operation: str) -> bool:
        transaction = self._transaction(number)
        if operation == "rollback":
            self._drop(call.pid, number)
            await transaction.rollback()
            return True
        try:
            await transaction.commit()
        finally:
            # A commit that failed (a deferred constraint) may leave the transaction to be repaired or rolled back.
            if not transaction.active:
                self._drop(call.pid, number)
        return True

    async def statement_query(
        self, _call: Call, number: int, params: list[Value], binary: Sequence[int] | None = None
    ) -> list[dict[str, Value]] | bytes:
        return pack_rows(await self._statement(number).query(_bind(params, binary)))

    async def statement_execute(
        self, _call: Call, number: int, params: list[Value], binary: Sequence[int] | None = None
    ) -> dict[str, int]:
        result = await self._statement(number).execute(_bind(params, binary))
        return {"last_insert_id": result.last_insert_id, "rows_affected": result.rows_affected}

    async def close(self, call: Call, number: int) -> bool:
        statement = self._statement(number)
        self._drop(call.pid, number)
        await statement.close()
        return True

    async def abandon(self, _call: Call, pid: str) -> None:
        """A process ended: roll back and close what it left."""
        for number in sorted(self._owned.pop(pid, ())):
            transaction, statement = self._transactions.pop(number, None), self._statements.pop(number, None)
            if transaction is not None:
                await transaction.rollback()
            if statement is not None:
                await statement.close()


def _text(sql: str | bytes) -> str:
    if isinstance(sql, bytes):
        raise Error("SQL text is not valid UTF-8: pass binary data as a parameter", INVALID, retryable=False)
    return sql


def _bind(params: list[Value], binary: Sequence[int] | None) -> list[Value]:
    """Return the parameters with those at the positions `binary` (from 1) as bytes: Lua has only one kind of string."""
    for position in binary or ():
        value: Any = params[position - 1]
        params[position - 1] = value.encode() if isinstance(value, str) else value
    return params


def commands(app: App) -> Mapping[str, Command]:
    """Return the commands of the Lua module `sql` for one App."""
    return _Sessions(app).table()
