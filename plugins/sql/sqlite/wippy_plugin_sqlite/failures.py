"""What went wrong, in the runtime's terms: SQLite's result codes as error kinds.

The kinds are those that wippy_plugin_sql.protocol asks of every driver.
"""

from __future__ import annotations

import sqlite3

from wippy.errors import (
    ALREADY_EXISTS,
    CANCELED,
    CONFLICT,
    INTERNAL,
    INVALID,
    PERMISSION_DENIED,
    UNAVAILABLE,
    Error,
)

__all__ = ["is_busy", "is_interrupt", "primary", "translate"]

_UNIQUE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
_DAMAGED = {
    sqlite3.SQLITE_NOTADB: "is not a SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
}
_ENVIRONMENT = {
    sqlite3.SQLITE_CANTOPEN: "check that its directory exists and is writable",
    sqlite3.SQLITE_IOERR: "the disk reported an error",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_NOLFS: "the file is too large for the file system",
    sqlite3.SQLITE_PROTOCOL: "locking failed: is the file on a network file system?",
}
_OURS = {sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERNAL, sqlite3.SQLITE_MISUSE}


def primary(problem: sqlite3.Error | sqlite3.Warning) -> int | None:
    """Return SQLite's primary result code; None for what Python's module found out itself."""
    code: int | None = getattr(problem, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_busy(problem: sqlite3.Error) -> bool:
    """Tell whether another connection holds a lock; not for a transaction whose snapshot is too old to be retried."""
    code = getattr(problem, "sqlite_errorcode", None)
    return primary(problem) == sqlite3.SQLITE_BUSY and code != sqlite3.SQLITE_BUSY_SNAPSHOT


def is_interrupt(problem: sqlite3.Error) -> bool:
    return primary(problem) == sqlite3.SQLITE_INTERRUPT


def translate(problem: sqlite3.Error | sqlite3.Warning, entry: str, file: str) -> Error:
    """Return the Error for a failed statement, naming the entry and, where it is to blame, the file."""
    code = primary(problem)
    name = getattr(problem, "sqlite_errorname", None)
    details = {"code": name} if name else None
    text = str(problem)
    if code is None:
        # Python's own complaints: wrong number of parameters, several statements, text that is not UTF-8.
        return Error(f"{entry}: {text[:1].lower()}{text[1:]}", INVALID, retryable=False)
    if code == sqlite3.SQLITE_CONSTRAINT:
        return _constraint(getattr(problem, "sqlite_errorcode", 0), f"{entry}: {text}", details)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        message = f"{entry}: {file} is locked by another connection ({text}); try again"
        return Error(message, UNAVAILABLE, retryable=True, details=details)
    if code == sqlite3.SQLITE_INTERRUPT:
        return Error(f"{entry}: the statement was interrupted", CANCELED, retryable=False, details=details)
    if code in _DAMAGED:
        message = (
            f"{entry}: {file} {_DAMAGED[code]} ({text}): restore it from a backup, or move it away (with its -wal and "
            f"-shm files) to begin with an empty one"
        )
        return Error(message, INTERNAL, retryable=False, details=details)
    if code in _ENVIRONMENT:
        return Error(f"{entry}: {file}: {text}: {_ENVIRONMENT[code]}", UNAVAILABLE, retryable=True, details=details)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        message = f"{entry}: {file}: {text}: it, or its directory, may not be written"
        return Error(message, PERMISSION_DENIED, retryable=False, details=details)
    kind = INTERNAL if code in _OURS else INVALID
    return Error(f"{entry}: {text}", kind, retryable=False, details=details)


def _constraint(code: int, message: str, details: dict[str, str] | None) -> Error:
    if code in _UNIQUE:
        kind = ALREADY_EXISTS
    elif code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        kind = CONFLICT
    else:
        kind = INVALID
    return Error(message, kind, retryable=False, details=details)
