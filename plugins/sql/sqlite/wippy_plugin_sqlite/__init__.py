"""SQLite databases: the kind db.sql.sqlite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wippy_plugin_sqlite.kind import SqliteKind

__all__ = ["SqliteKind"]


def __getattr__(name: str) -> Any:
    # sqlite3 is imported with the kind, not by whoever imports this package.
    if name == "SqliteKind":
        from wippy_plugin_sqlite.kind import SqliteKind

        return SqliteKind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
