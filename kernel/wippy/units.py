"""Quantities and scalars written as text: durations, sizes, and values coerced by their shape.

Sources: manual `guides/configuration` (duration fields), `guides/cli` (`--memory-limit 512M`; "values are coerced by
shape" for `--set` and `-o`), and the duration grammar of the Go standard library, which the manual's examples follow.
"""

from __future__ import annotations

import math
import re

from wippy.errors import INVALID, Error

__all__ = ["parse_duration", "parse_scalar", "parse_size"]

#: The micro sign exists twice in Unicode (U+00B5 and U+03BC); Go accepts both.
_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[+-]?(?:{_PART})+")
_DURATION_PART = re.compile(r"([0-9.]+)([a-zµμ]+)")

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}

_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(?:0|[1-9][0-9]*)(?=[eE]))(?:[eE][+-]?[0-9]+)?")


def parse_duration(value: str | int | float) -> float:
    """Return a duration in seconds: from Go-style text ("1h30m", "500ms", "-1.5s", "0"), or from a number of seconds.

    Raises Error(Invalid) for text without a unit, for an unknown unit, and for a number that is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Error(f'duration must be text like "1h30m" or a number of seconds, got {value!r}', INVALID)
    if not isinstance(value, str):
        if not math.isfinite(value):
            raise Error(f"duration must be finite, got {value!r}", INVALID)
        return float(value)
    text = value.strip()
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _DURATION.fullmatch(text):
        if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
            raise Error(f'duration "{value}" has no unit: write "{text}s" for seconds', INVALID)
        raise Error(f'"{value}" is not a duration: expected text like "1h30m", "1.5s" or "500ms"', INVALID)
    total = math.fsum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    return -total if text.startswith("-") else total


def parse_size(value: str | int) -> int:
    """Return a number of bytes: from text ("512M", "1.5G", "64KiB"; every unit is a power of 1024), or from a number.

    Raises Error(Invalid) for anything else, and for a negative number.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Error(f'"{value}" is not a size: expected bytes or text like "512M" or "1.5G"', INVALID)
    number, unit = match.groups()
    scale = 1024 ** _SIZE_POWERS[unit.lower()]
    return int(number) * scale if number.isdigit() else int(float(number) * scale)


def parse_scalar(text: str) -> bool | int | float | str:
    """Return the value that text on a command line stands for, by its shape: true, false, an integer, a float, or text.

    A number with leading zeros ("007") stays text, since turning it into a number would lose what was written.
    """
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
