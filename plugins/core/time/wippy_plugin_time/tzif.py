"""Time zone data: where the files of the IANA database are, and what one of them says (RFC 9636)."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from wippy.errors import INTERNAL, NOT_FOUND, Error

__all__ = ["load_zone", "parse_tzif"]

_HEADER = struct.Struct(">4sc15x6l")
#: Parts of a name: nothing that could leave the database's directory.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-]*(?:/[A-Za-z0-9][A-Za-z0-9._+\-]*)*")

_ABBREVIATION = r"([A-Za-z]{3,}|<[A-Za-z0-9+\-]+>)"
_TIME = r"([+-]?[0-9]{1,3}(?::[0-9]{2}){0,2})"
_MOMENT = rf"(M[0-9]+\.[0-9]\.[0-9]|J[0-9]+|[0-9]+)(?:/{_TIME})?"
_RULE = re.compile(rf"{_ABBREVIATION}{_TIME}(?:{_ABBREVIATION}{_TIME}?,{_MOMENT},{_MOMENT})?")

#: When a rule's change happens if it does not say: two in the morning.
_DEFAULT_MOMENT = 2 * 3600


def load_zone(name: str) -> dict[str, Any]:
    """Return what `zones.lua` needs of the zone with an IANA name; see parse_tzif.

    The machine's database (`zoneinfo.TZPATH`) comes first, the package tzdata second. Raises Error(NotFound).
    """
    data = _read(name) if _NAME.fullmatch(name) else None
    if data is None or data[:4] != b"TZif":
        raise Error(f'time zone "{name}" not found: give an IANA name such as "Europe/Paris"', NOT_FOUND)
    try:
        return parse_tzif(data)
    except (ValueError, IndexError, struct.error) as problem:
        raise Error(f'time zone "{name}": its file is damaged: {problem}', INTERNAL) from problem


def _read(name: str) -> bytes | None:
    import zoneinfo  # here, because it takes longer to import than everything else that most programs need of `time`

    candidates: list[Traversable] = [Path(directory, name) for directory in zoneinfo.TZPATH]
    with suppress(ModuleNotFoundError):  # a distributor may leave tzdata out where the machine has a database
        candidates.append(resources.files("tzdata").joinpath("zoneinfo", name))
    for candidate in candidates:
        try:
            return candidate.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
            continue
    return None


def parse_tzif(data: bytes) -> dict[str, Any]:
    """Parse a TZif file.

    Returns `transitions` (seconds since the epoch, rising), `indexes` (which type begins with each), `types` (`offset`
    in seconds, `abbreviation`), and `rule`: what holds after the last transition, or None. A rule has `standard` and,
    with daylight saving time, `daylight`, `starts` and `ends`. Raises ValueError or struct.error for what is no such
    file.
    """
    magic, version, isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt = _HEADER.unpack_from(data)
    if magic != b"TZif":
        raise ValueError("it does not begin with TZif")
    at, width = _HEADER.size, 4
    if version >= b"2":
        # The first block has 32-bit times, for readers that know no others.
        at += timecnt * 5 + typecnt * 6 + charcnt + leapcnt * 8 + isstdcnt + isutcnt
        _, _, isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt = _HEADER.unpack_from(data, at)
        at, width = at + _HEADER.size, 8
    transitions = list(struct.unpack_from(f">{timecnt}{'q' if width == 8 else 'l'}", data, at))
    at += timecnt * width
    indexes = list(struct.unpack_from(f">{timecnt}B", data, at))
    at += timecnt
    names = data[at + typecnt * 6 :][:charcnt]
    types = []
    for offset, _saving, start in struct.iter_unpack(">lBB", data[at : at + typecnt * 6]):
        types.append({"offset": offset, "abbreviation": names[start : names.index(b"\0", start)].decode()})
    if not types or any(index >= len(types) for index in indexes):
        raise ValueError("a transition leads to a type that is not there")
    at += typecnt * 6 + charcnt + leapcnt * (width + 4) + isstdcnt + isutcnt
    footer = data[at:].strip(b"\n").decode() if width == 8 else ""
    return {"transitions": transitions, "indexes": indexes, "types": types, "rule": _parse_rule(footer)}


def _parse_rule(text: str) -> dict[str, Any] | None:
    """Parse a POSIX TZ string such as "CET-1CEST,M3.5.0,M10.5.0/3"."""
    if not text:
        return None
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(f'"{text}" is not a rule')
    name, offset, daylight_name, daylight_offset, start, start_time, end, end_time = match.groups()
    # POSIX counts offsets westward.
    ahead = -_seconds(offset)
    standard = {"offset": ahead, "abbreviation": name.strip("<>")}
    if daylight_name is None:
        return {"standard": standard}
    saving = -_seconds(daylight_offset) if daylight_offset else ahead + 3600
    return {
        "standard": standard,
        "daylight": {"offset": saving, "abbreviation": daylight_name.strip("<>")},
        "starts": _moment(start, start_time),
        "ends": _moment(end, end_time),
    }


def _seconds(text: str) -> int:
    hours, minutes, seconds = (int(part) for part in [*text.lstrip("+-").split(":"), "0", "0"][:3])
    size = hours * 3600 + minutes * 60 + seconds
    return -size if text.startswith("-") else size


def _moment(day: str, time: str | None) -> dict[str, Any]:
    seconds = _seconds(time) if time else _DEFAULT_MOMENT
    if day.startswith("M"):
        month, week, weekday = (int(part) for part in day[1:].split("."))
        if not (1 <= month <= 12 and 1 <= week <= 5 and weekday <= 6):
            raise ValueError(f'"{day}" is not a day')
        return {"kind": "M", "a": month, "b": week, "c": weekday, "seconds": seconds}
    return {"kind": "J" if day.startswith("J") else "N", "a": int(day.lstrip("J")), "seconds": seconds}
