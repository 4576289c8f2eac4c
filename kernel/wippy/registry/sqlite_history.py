"""Registry versions in a SQLite file, so that what a run changed survives it, `kill -9` and power loss included.

Source: manual page `internals/registry` (WAL, changesets as MessagePack); section `registry` of `guides/configuration`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from wippy.errors import CONFLICT, INTERNAL, INVALID, UNAVAILABLE, Error
from wippy.registry.change import Operation
from wippy.registry.history import Version

__all__ = ["SqliteHistory"]

_Result = TypeVar("_Result")

_SCHEMA = 1
#: Seconds to wait for another process that writes the same file.
_BUSY_TIMEOUT = 5.0
_CREATE = """
CREATE TABLE version (
    id INTEGER PRIMARY KEY,
    previous INTEGER NOT NULL,
    time REAL NOT NULL,
    boot INTEGER NOT NULL,
    operations BLOB NOT NULL
)
"""


class SqliteHistory:
    """A History in one file. `append` returns when the version is on the disk (synchronous=FULL)."""

    def __init__(self, path: str | Path) -> None:
        """Open the file, or make it together with its directory.

        Raises Error that names the file and what to do: Unavailable where it cannot be opened or another process holds
        it, Invalid where it is damaged, no SQLite file, or made by a newer version.
        """
        self._path = Path(path)
        self._decoder = msgspec.msgpack.Decoder(tuple[Operation, ...])
        self._encoder = msgspec.msgpack.Encoder()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise Error(
                f"registry history {self._path}: cannot make its directory: {problem.strerror}: set "
                "registry.history_path to a place that is writable",
                UNAVAILABLE,
            ) from None
        # Transactions are single statements here: autocommit. The registry calls from one thread at a time.
        self._connection = self._guarded(
            lambda: sqlite3.connect(self._path, _BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        )
        try:
            self._guarded(self._prepare)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute("BEGIN IMMEDIATE")
        try:
            schema = execute("PRAGMA user_version").fetchone()[0]
            if schema > _SCHEMA:
                raise Error(
                    f"registry history {self._path} was written by a newer version (format {schema}, this one reads "
                    f"{_SCHEMA}): upgrade, or set registry.history_path to another file",
                    INVALID,
                )
            if schema == 0:
                if execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise Error(
                        f"registry history {self._path} is the database of something else: set "
                        "registry.history_path to another file",
                        INVALID,
                    )
                execute(_CREATE)
                execute(f"PRAGMA user_version={_SCHEMA}")
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def load(self) -> Sequence[Version]:
        """Return every stored version, oldest first.

        Raises Error(Invalid) for a damaged file or a gap in the chain.
        """
        rows = self._guarded(
            lambda: self._connection.execute(
                "SELECT id, previous, time, boot, operations FROM version ORDER BY id"
            ).fetchall()
        )
        versions = []
        for expected, (number, previous, time, boot, operations) in enumerate(rows, 1):
            if number != expected or not 0 <= previous < number:
                raise self._damaged(f"version {expected} is missing or follows the wrong one")
            try:
                decoded = self._decoder.decode(operations)
            except (msgspec.MsgspecError, TypeError, ValueError) as problem:
                raise self._damaged(f"version {number} cannot be decoded: {problem}") from None
            versions.append(Version(number, previous, decoded, time, bool(boot)))
        return versions

    def append(self, version: Version) -> None:
        """Store a version.

        Raises Error(Conflict) when another process has stored one of the same id, Error(Invalid) for an entry that
        cannot be stored, Error(Unavailable) when the disk or another process does not let it.
        """
        try:
            operations = self._encoder.encode(version.operations)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as problem:
            ids = ", ".join(operation.entry.id for operation in version.operations)
            raise Error(f"registry history: a change of {ids} cannot be stored: {problem}", INVALID) from None
        row = (version.id, version.previous, version.time, version.boot, operations)
        try:
            self._guarded(
                lambda: self._connection.execute(
                    "INSERT INTO version (id, previous, time, boot, operations) VALUES (?, ?, ?, ?, ?)", row
                )
            )
        except sqlite3.IntegrityError:
            raise Error(
                f"registry history {self._path} has a version {version.id} already: another process uses the file; "
                "give each its own registry.history_path",
                CONFLICT,
            ) from None

    def close(self) -> None:
        """Let go of the file; doing it twice is fine."""
        self._connection.close()

    def _damaged(self, cause: str) -> Error:
        return Error(
            f"registry history {self._path} is damaged ({cause}): restore it from a backup, or move it away together "
            f"with {self._path.name}-wal to start with the entries of the files alone",
            INVALID,
        )

    def _guarded(self, action: Callable[[], _Result]) -> _Result:
        """Turn SQLite's errors, IntegrityError apart, into ours."""
        try:
            return action()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.OperationalError as problem:
            code = problem.sqlite_errorcode & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                cause = "another process holds it: stop that one, or set registry.history_path to another file"
                raise Error(f"registry history {self._path}: {cause}", UNAVAILABLE, retryable=True) from None
            raise Error(
                f"registry history {self._path} cannot be used: {problem}: check that the file and its directory are "
                "writable and that the disk has room",
                UNAVAILABLE,
            ) from None
        except sqlite3.ProgrammingError as problem:
            raise Error(f"registry history {self._path}: {problem}", INTERNAL) from None
        except sqlite3.DatabaseError as problem:
            raise self._damaged(str(problem)) from None
