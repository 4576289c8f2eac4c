"""The kind db.sql.sqlite (manual page system/database)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from wippy.errors import INVALID, Error
from wippy.kind import Kind
from wippy.registry.entry import Entry
from wippy.supervisor import Lifecycle
from wippy_plugin_sqlite.connection import MEMORY, Options
from wippy_plugin_sqlite.database import SqliteDatabase

__all__ = ["SqliteConfig", "SqliteKind"]


class SqliteConfig(msgspec.Struct):
    """Fields of db.sql.sqlite. `pool` is accepted without effect: there is one connection, and a file needs no new one."""

    file: str
    pool: dict[str, Any] = {}
    options: Options = msgspec.field(default_factory=Options)
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)


class _Service:
    """A database as a service: starting opens the file, so that one which cannot be opened stops the boot."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def start(self) -> None:
        await self._database.open()

    async def stop(self) -> None:
        """Nothing: whoever still runs may need it, until its entry goes."""

    async def ended(self) -> None:
        await asyncio.get_running_loop().create_future()


class SqliteKind(Kind[SqliteConfig]):
    """db.sql.sqlite. Without `auto_start` the first use opens the file."""

    config = SqliteConfig

    async def add(self, entry: Entry, config: SqliteConfig) -> None:
        if not config.file:
            raise Error(f'{entry.where("file")}: field "file" is empty: name a file, or ":memory:"', INVALID)
        database = SqliteDatabase(entry.id, self._locate(config.file), config.options, self.app.clock)
        self.app.resources.put(entry.id, database)
        await self.app.supervisor.add(entry.id, _Service(database), config.lifecycle)

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
        database = self.app.resources.remove(entry.id)
        if database is not None:
            await database.close()

    def _locate(self, file: str) -> str:
        if file == MEMORY:
            return file
        return str((self.app.directory or Path()) / Path(file).expanduser())
