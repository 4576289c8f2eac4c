"""Patterns over names of segments (manual page `internals/events`, "Pattern Matching").

Matching takes time proportional to pattern times name whatever a program asks for, which a regular expression with
several gaps would not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wippy.errors import INVALID, Error

__all__ = ["Pattern"]

#: Part of a segment: the texts that may stand there, or None for any text.
_Part = tuple[str, ...] | None
#: A segment as its parts, or None for any number of segments.
_Segment = tuple[_Part, ...] | None

_PARTS = re.compile(r"\((?P<choices>[^()]*)\)|(?P<any>\*+)|(?P<text>[^*()]+)")


class Pattern:
    """A compiled pattern: `*` one segment or part of one, `**` any number of segments, `(a|b)` one of several texts."""

    def __init__(self, text: str) -> None:
        """Raises Error(Invalid) where parentheses do not match."""
        self.text = text
        self._segments = [None if segment == "**" else _parse(segment, text) for segment in text.split(".")]

    def matches(self, names: Sequence[str]) -> bool:
        """Tell whether the pattern matches a name, given as its segments."""
        # reached[i]: whether what was looked at of the pattern matches the first i segments.
        reached = [True] + [False] * len(names)
        for segment in self._segments:
            if segment is None:
                first = reached.index(True) if True in reached else len(reached)
                reached = [index >= first for index in range(len(reached))]
            else:
                reached = [False] + [
                    before and _fits(segment, name) for before, name in zip(reached, names, strict=False)
                ]
        return reached[-1]


def _parse(segment: str, pattern: str) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    position = 0
    for match in _PARTS.finditer(segment):
        if match.start() != position:
            break
        position = match.end()
        if match["any"]:
            parts.append(None)
        else:
            parts.append((match["text"],) if match["text"] else tuple(match["choices"].split("|")))
    if position != len(segment):
        raise Error(
            f'event pattern "{pattern}": the parentheses in "{segment}" do not match; write (a|b), without dots inside',
            INVALID,
            retryable=False,
        )
    return tuple(parts)


def _fits(parts: tuple[_Part, ...], name: str) -> bool:
    positions = {0}
    for part in parts:
        if not positions:
            return False
        if part is None:
            positions = set(range(min(positions), len(name) + 1))
        else:
            positions = {p + len(text) for p in positions for text in part if name.startswith(text, p)}
    return len(name) in positions
