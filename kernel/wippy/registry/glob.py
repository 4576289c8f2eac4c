"""Patterns over segmented names: namespaces (`app.api`) and paths (`src/api/x.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

__all__ = ["matcher"]


def matcher(patterns: Iterable[str], separator: str) -> Callable[[str], bool]:
    """Return a test for names that match any pattern.

    `*` and `?` stay within one segment and `**` stands for any number of segments, none included: `legacy.**` matches
    `legacy` and everything below it (page `internals/kinds` for the difference, `guides/configuration` for the use).
    """
    compiled = [_compile(pattern, separator) for pattern in patterns]
    return lambda name: any(c.fullmatch(name) for c in compiled)


@lru_cache(maxsize=256)
def _compile(pattern: str, separator: str) -> re.Pattern[str]:
    gap = re.escape(separator)
    inner = f"[^{gap}]"
    result = ""
    segments = pattern.split(separator)
    for index, segment in enumerate(segments):
        first, last = index == 0, index == len(segments) - 1
        if segment == "**":
            # Any number of segments together with the separator that ties them to a neighbour.
            result += (".*" if last else f"(?:.*{gap})?") if first else f"(?:{gap}.*)?"
            continue
        after_leading_gap = first or (index == 1 and segments[0] == "**")
        result += ("" if after_leading_gap else gap) + "".join(
            f"{inner}*" if part in ("*", "**") else inner if part == "?" else re.escape(part)
            for part in re.split(r"(\*+|\?)", segment)
        )
    return re.compile(result, re.DOTALL)
