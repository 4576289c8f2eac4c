"""Locations: named, fixed and local, and the files that named ones come from."""

from __future__ import annotations

import asyncio
import struct
import zoneinfo
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.errors import INTERNAL, INVALID, NOT_FOUND, Error
from wippy.testing import run_lua
from wippy_plugin_time.tzif import load_zone, parse_tzif

SetZone = Callable[[str], None]

#: Zones with peculiar rules: negative saving, half hours, southern summers, none at all, times beyond midnight.
ZONES = [
    "America/New_York",
    "America/Nuuk",
    "America/St_Johns",
    "Asia/Gaza",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Etc/GMT+5",
    "Pacific/Chatham",
]


async def lua(source: str, *args: Any) -> Any:
    return await run_lua(source, *args, modules=["time"])


async def test_a_named_location() -> None:
    source = """
        local ny = time.load_location("America/New_York")
        local winter = time.date(2024, time.JANUARY, 15, 14, 0, 0, 0, ny)
        local summer = winter:add_date(0, 6, 0)
        return {tostring(winter), tostring(summer), winter:utc():format(time.TIME_ONLY), ny:string(), tostring(ny),
                winter:location() == ny, summer:in_location(time.load_location("Asia/Tokyo")):format(time.RFC1123)}
    """
    assert await lua(source) == [
        "2024-01-15 14:00:00 -0500 EST",
        "2024-07-15 14:00:00 -0400 EDT",
        "19:00:00",
        "America/New_York",
        "America/New_York",
        True,
        "Tue, 16 Jul 2024 03:00:00 JST",
    ]


async def test_skipped_and_repeated_local_times() -> None:
    source = """
        local berlin = time.load_location("Europe/Berlin")
        return {tostring(time.date(2024, 3, 31, 2, 30, 0, 0, berlin)),
                tostring(time.date(2024, 10, 27, 2, 30, 0, 0, berlin))}
    """
    assert await lua(source) == ["2024-03-31 03:30:00 +0200 CEST", "2024-10-27 02:30:00 +0100 CET"]


async def test_fixed_zones() -> None:
    source = """
        local ist = time.fixed_zone("IST", 5*3600 + 30*60)
        return {tostring(time.date(2024, 1, 15, 12, 0, 0, 0, ist)), ist:string(), time.utc:string(),
                time.localtz:string()}
    """
    assert await lua(source) == ["2024-01-15 12:00:00 +0530 IST", "IST", "UTC", "Local"]


async def test_locations_are_loaded_once() -> None:
    source = """
        local load = time.load_location
        return {load("Asia/Tokyo") == load("Asia/Tokyo"), load("UTC") == time.utc, load("Local") == time.localtz}
    """
    assert await lua(source) == [True, True, True]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", INVALID),
        ("Unknown/Zone", NOT_FOUND),
        ("America", NOT_FOUND),
        ("../zoneinfo/UTC", NOT_FOUND),
        ("/etc/localtime", NOT_FOUND),
        ("America/../Europe/Paris", NOT_FOUND),
        ("zone.tab", NOT_FOUND),
        ("Europe/Paris\n", NOT_FOUND),
    ],
)
async def test_names_that_are_no_zone(name: str, kind: str) -> None:
    with pytest.raises(Error, match="name") as caught:
        await lua("return time.load_location(...)", name)
    assert caught.value.kind == kind


async def test_the_machine_s_zone(machine_zone: SetZone) -> None:
    machine_zone("America/New_York")
    source = """
        local t = time.date(2024, 7, 1, 12, 0, 0, 0)
        return {tostring(t), tostring(t:utc():in_local()), tostring(time.unix(1704110400, 0)),
                tostring(time.parse("2006-01-02 15:04 MST", "2024-07-01 12:00 EST")),
                time.parse("15:04", "12:00"):location():string()}
    """
    assert await lua(source) == [
        "2024-07-01 12:00:00 -0400 EDT",
        "2024-07-01 12:00:00 -0400 EDT",
        "2024-01-01 07:00:00 -0500 EST",
        "2024-07-01 13:00:00 -0400 EDT",
        "UTC",
    ]


async def test_times_beyond_the_c_library(machine_zone: SetZone) -> None:
    machine_zone("Asia/Tokyo")
    assert await lua("return time.unix(1 << 60, 0):format('-0700')") == "+0900"


instants = st.tuples(st.sampled_from(ZONES), st.integers(-2_500_000_000, 16_000_000_000))


@given(st.lists(instants, min_size=1, max_size=200))
@settings(max_examples=20, deadline=None)
def test_offsets_agree_with_zoneinfo(cases: list[tuple[str, int]]) -> None:
    source = """
        local result = {}
        for i, case in ipairs(...) do
          local t = time.unix(case[2], 0):in_location(time.load_location(case[1]))
          result[i] = t:format("2006-01-02 15:04:05 -07:00:00 MST")
        end
        return result
    """
    expected = []
    for zone, seconds in cases:
        moment = datetime.fromtimestamp(seconds, zoneinfo.ZoneInfo(zone))
        offset = moment.utcoffset()
        assert offset is not None
        sign, size = "-" if offset.days < 0 else "+", abs(int(offset.total_seconds()))
        clock = f"{size // 3600:02}:{size // 60 % 60:02}:{size % 60:02}"
        expected.append(f"{moment:%Y-%m-%d %H:%M:%S} {sign}{clock} {moment.tzname()}")
    assert asyncio.run(lua(source, [list(case) for case in cases])) == expected


# Files ----------------------------------------------------------------------------------------------------------------


def tzif(footer: str, *types: tuple[int, str], transitions: tuple[tuple[int, int], ...] = ()) -> bytes:
    """Build a version 2 file: types as (offset, abbreviation), transitions as (seconds, index of type)."""
    names = b"".join(abbreviation.encode() + b"\0" for _, abbreviation in types)
    starts = [sum(len(a) + 1 for _, a in types[:i]) for i in range(len(types))]
    body = b"".join(struct.pack(">q", at) for at, _ in transitions) + bytes(index for _, index in transitions)
    body += b"".join(struct.pack(">lBB", offset, 0, start) for (offset, _), start in zip(types, starts, strict=True))
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, len(transitions), len(types), len(names))
    empty = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 0, 0)
    return empty + header + body + names + b"\n" + footer.encode() + b"\n"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose zone database is this directory."""
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path),))
    return tmp_path


def test_a_machine_without_database_uses_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    assert load_zone("Europe/Paris")["rule"]["standard"] == {"offset": 3600, "abbreviation": "CET"}


@pytest.mark.parametrize(
    ("footer", "seconds", "written"),
    [
        # 2024-03-01 00:00:00 UTC is 1709251200; day 60 without leap days is March 1st.
        ("AAA0BBB,J60/0,J200/0", 1709251199, "+0000 AAA"),
        ("AAA0BBB,J60/0,J200/0", 1709251200, "+0100 BBB"),
        # Day 59 counted from 0, with leap days, is February 29th in 2024.
        ("AAA0BBB,59/0,200/0", 1709251199, "+0100 BBB"),
        ("AAA0BBB,59/0,200/0", 1709164799, "+0000 AAA"),
        # A summer that spans the new year.
        ("AAA0BBB-2,M10.1.0,M4.1.0", 1704067200, "+0200 BBB"),
        ("<-03>3:30", 0, "-0330 -03"),
    ],
)
async def test_rules(database: Path, footer: str, seconds: int, written: str) -> None:
    (database / "Test").write_bytes(tzif(footer, (0, "LMT"), transitions=((-1000, 0),)))
    source = "local name, at = ... return time.unix(at, 0):in_location(time.load_location(name)):format('-0700 MST')"
    assert await lua(source, "Test", seconds) == written


async def test_before_the_first_transition_the_first_type_holds(database: Path) -> None:
    (database / "Test").write_bytes(tzif("", (60, "LMT"), (3600, "CET"), transitions=((0, 1),)))
    source = """
        local zone = time.load_location("Test")
        return {tostring(time.unix(-1, 0):in_location(zone)), tostring(time.unix(0, 0):in_location(zone))}
    """
    assert await lua(source) == ["1970-01-01 00:00:59 +0001 LMT", "1970-01-01 01:00:00 +0100 CET"]


def test_version_1_files_have_short_times_and_no_rule() -> None:
    types = struct.pack(">lBB", 3600, 0, 0) + b"CET\0"
    header = b"TZif\0" + bytes(15) + struct.pack(">6l", 0, 0, 0, 1, 1, 4)
    assert parse_tzif(header + struct.pack(">lB", -5, 0) + types) == {
        "transitions": [-5],
        "indexes": [0],
        "types": [{"offset": 3600, "abbreviation": "CET"}],
        "rule": None,
    }


@pytest.mark.parametrize(
    "data",
    [
        b"TZif",
        tzif("not a rule", (0, "X")),
        tzif("AAA0BBB,M13.1.0,M4.1.0", (0, "X")),
        tzif(""),
        tzif("", (0, "X"))[:-12],
    ],
)
def test_a_damaged_file_is_named(database: Path, data: bytes) -> None:
    (database / "Test").write_bytes(data)
    with pytest.raises(Error, match=r'"Test".*damaged') as caught:
        load_zone("Test")
    assert caught.value.kind == INTERNAL


@given(st.binary(max_size=120).map(lambda tail: tzif("UTC0", (0, "UTC"), transitions=((0, 0),))[:60] + tail))
@settings(max_examples=200, deadline=None)
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    try:
        result = parse_tzif(data)
    except (ValueError, struct.error):
        return
    assert result["types"]
