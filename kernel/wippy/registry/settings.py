"""Where the configuration says that registry versions are kept."""

from __future__ import annotations

from pathlib import Path

from wippy.config import Config
from wippy.errors import INVALID, Error
from wippy.registry.history import History, MemoryHistory

__all__ = ["open_history"]

DEFAULT_PATH = ".wippy/registry.db"


def open_history(config: Config, directory: Path | None) -> History:
    """Return the history that section `registry` asks for: memory (the default), or sqlite.

    Raises Error(Invalid) for another type, and what opening the file raises.
    """
    kind = config.get("registry.history_type", "memory")
    if not config.get("registry.enable_history", True) or kind in ("memory", "nil"):
        return MemoryHistory()
    if kind != "sqlite":
        raise Error(f'registry.history_type is "{kind}"; known are memory, sqlite and nil', INVALID)
    from wippy.registry.sqlite_history import SqliteHistory

    return SqliteHistory((directory or Path.cwd()) / config.get("registry.history_path", DEFAULT_PATH))
