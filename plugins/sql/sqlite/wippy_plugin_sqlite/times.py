"""Times: SQLite has no such type, so what tells them is a column declared DATE, DATETIME or TIMESTAMP.

The text in such a column is given as RFC 3339 in UTC (reference, row `sql`); text that is no time, and numbers, stay as
they are. Python's converters belong to the whole interpreter: ours act only while a connection of ours reads, and
others' are asked otherwise.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from wippy_plugin_sql import Value, rfc3339

__all__ = ["reading_times", "register"]

DECLARED = ("DATE", "DATETIME", "TIMESTAMP")


class _Reading(threading.local):
    ours = False


_reading = _Reading()


@contextmanager
def reading_times() -> Iterator[None]:
    """Let our converters act inside the `with` block, on this thread."""
    _reading.ours = True
    try:
        yield
    finally:
        _reading.ours = False


def register() -> None:
    """Register the converters; once for an interpreter."""
    converters: dict[str, Callable[[bytes], Any]] = getattr(sqlite3, "converters", {})
    for name in DECLARED:
        if not getattr(converters.get(name), "wippy", False):
            sqlite3.register_converter(name, _converter(converters.get(name)))


def _converter(other: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    def convert(raw: bytes) -> Any:
        if _reading.ours:
            return _time(raw)
        # A connection that asks for converters and finds none gets the bytes; so does one of another library here.
        return other(raw) if other else raw

    convert.wippy = True  # type: ignore[attr-defined]
    return convert


def _time(raw: bytes) -> Value:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw
    # Numbers arrive as text here: seconds since 1970, or a Julian day; only the application knows which.
    if text[-1:].isdigit():  # neither "nan" nor "infinity"
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    try:
        return rfc3339(datetime.fromisoformat(text))
    except ValueError:
        return text
