"""What can be told about SQL text without asking the database."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["highest_number", "reads", "split"]

_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


@lru_cache(1024)
def reads(sql: str) -> bool:
    """Tell whether a statement certainly changes nothing. Some that change nothing are not recognised."""
    match = _FIRST_WORD.match(sql)
    if match is None:
        return False
    word = match[1].upper()
    return word in ("SELECT", "VALUES") or (word == "WITH" and not _WRITES.search(sql))


#: Literals, quoted names and comments, or a placeholder.
_PLACEHOLDER = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | \[[^\]]*\] | --[^\n]* | /\*.*?\*/ | (\?) | \$(\d+)\b""",
    re.DOTALL | re.VERBOSE,
)


@lru_cache(1024)
def highest_number(sql: str) -> int:
    """Return the highest N of the placeholders $N; 0 when there is none, or when there are question marks too.

    SQLite takes $2 for a name and numbers names as they appear; who writes $2 means the second parameter.
    """
    if "$" not in sql:
        return 0
    highest = 0
    for match in _PLACEHOLDER.finditer(sql):
        if match[1]:
            return 0
        if match[2]:
            highest = max(highest, int(match[2]))
    return highest


def split(script: str) -> Iterator[str]:
    """Yield the statements of a script; semicolons in literals, comments and triggers do not separate."""
    start = 0
    for position, character in enumerate(script):
        if character == ";" and sqlite3.complete_statement(script[start : position + 1]):
            yield script[start : position + 1]
            start = position + 1
    if script[start:].strip():
        yield script[start:]
