"""The global `os` (manual page lua/system/ostime)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.errors import Error
from wippy.scheduler.clock import VirtualClock
from wippy.testing import app_of, function, run_lua

SetZone = Callable[[str], None]

#: What the virtual clock of tests begins with: Tuesday, 14 November 2023, 22:13:20 UTC.
START = 1_700_000_000

#: Saturday, 15 June 2024, 14:30:45 UTC: the manual's example.
SAMPLE = 1718461845


@pytest.fixture
def machine_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetZone]:
    """Return a function that sets the zone of this machine (a TZ value) until the test ends."""

    def change(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


async def test_time_and_clock_are_those_of_the_app() -> None:
    main = function("test:main", "return function() return {os.time(), math.type(os.time()), os.clock()} end")
    async with app_of(main) as app:
        time_before, number_type, clock_before = await app.call("test:main")
        assert isinstance(app.node.clock, VirtualClock)
        app.node.clock.advance_to(app.node.clock.now() + 2.5)
        time_after, _, clock_after = await app.call("test:main")
    assert (time_before, number_type) == (START, "integer")
    assert time_after - time_before == 2
    assert clock_after - clock_before == 2.5


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ("year = 2024, month = 12, day = 25, hour = 10, min = 30, sec = 0", "2024-12-25T10:30"),
        ("year = 2024, month = 6, day = 15", "2024-06-15"),
        ("day = 1", "2023-11-01"),
        ("year = 2024, month = 14, day = 0", "2025-01-31"),
        ("year = 2024, month = 1, day = 1, hour = -1", "2023-12-31T23:00"),
        ("year = 2024.0, month = 1.0, day = 1.9, isdst = false", "2024-01-01"),
    ],
)
async def test_time_of_a_table(fields: str, written: str, machine_zone: SetZone) -> None:
    machine_zone("UTC0")
    expected = datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()
    assert await run_lua(f"return os.time({{{fields}}})") == expected


async def test_time_leaves_the_table_as_it_is_and_reads_frozen_ones() -> None:
    source = """
        local spec = table.freeze({year = 2024, month = 14, day = 1})
        os.time(spec)
        return {spec.year, spec.month, spec.yday == nil}
    """
    assert await run_lua(source) == [2024, 14, True]


async def test_time_and_date_go_by_the_machine_s_zone(machine_zone: SetZone) -> None:
    machine_zone("America/New_York")
    source = """
        local t = os.time({year = 2024, month = 7, day = 1, hour = 12})
        local back = os.date("*t", t)
        return {t, back.hour, back.isdst, os.date("%H %z %Z", t), os.date("!%H %z %Z", t), os.date("!*t", t).hour}
    """
    assert await run_lua(source) == [1719849600, 12, True, "12 -0400 EDT", "16 +0000 UTC", 16]


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("%Y-%m-%d", "2024-06-15"),
        ("%H:%M:%S", "14:30:45"),
        ("%y %I %p", "24 02 PM"),
        ("%A %a %B %b", "Saturday Sat June Jun"),
        ("%w %j %U", "6 167 23"),
        ("%c", "Sat Jun 15 14:30:45 2024"),
        ("%x %X", "06/15/24 14:30:45"),
        ("100%% %Q %e %5Y %", "100% %Q %e %5Y %"),
        ("é%Yé", "é2024é"),
        ("", ""),
    ],
)
async def test_conversions(template: str, written: str) -> None:
    assert await run_lua("return os.date(...)", "!" + template, SAMPLE) == written


async def test_date_defaults_to_c_and_now(machine_zone: SetZone) -> None:
    machine_zone("UTC0")
    source = 'return {os.date(), os.date("!%c"), os.date(nil, 0.9)}'
    assert await run_lua(source) == ["Tue Nov 14 22:13:20 2023", "Tue Nov 14 22:13:20 2023", "Thu Jan  1 00:00:00 1970"]


async def test_midnight_and_noon_by_twelve_hours() -> None:
    source = 'return {os.date("!%I %p", 0), os.date("!%I %p", 43200)}'
    assert await run_lua(source) == ["12 AM", "12 PM"]


async def test_date_table() -> None:
    assert await run_lua('return os.date("!*t", ...)', SAMPLE) == {
        "year": 2024,
        "month": 6,
        "day": 15,
        "hour": 14,
        "min": 30,
        "sec": 45,
        "wday": 7,
        "yday": 167,
        "isdst": False,
    }


async def test_difftime() -> None:
    source = """
        local difftime = os.difftime
        return {difftime(10, 4), difftime(4, 10), difftime(1.5, 1), difftime(5), math.type(difftime(2.0, 1))}
    """
    assert await run_lua(source) == [6, -6, 0.5, 5, "integer"]


async def test_what_there_is() -> None:
    source = """
        local names = {}
        for name in pairs(os) do names[#names + 1] = name end
        table.sort(names)
        return {names, os.platform, (pcall(function() os.time = nil end))}
    """
    assert await run_lua(source) == [["clock", "date", "difftime", "platform", "time"], "wippy", False]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("os.time(5)", "bad argument #1 to 'time' (table expected, got number)"),
        ("os.time(errors.new('x'))", "bad argument #1 to 'time' (table expected, got userdata)"),
        ("os.time({year = 'x', month = 1, day = 1})", "field 'year' must be a number, got string"),
        ("os.time({year = 0/0, month = 1, day = 1})", "field 'year' must be a number, got NaN"),
        ("os.time({year = 1 << 60, month = 1, day = 1})", "'year'"),
        ("os.date(5)", "bad argument #1 to 'date' (string expected, got number)"),
        ("os.date('%c', 'x')", "timestamp must be a number, got string"),
        ("os.date('%c', 1 << 62)", "timestamp 4611686018427387904 is out of range"),
        ("os.difftime('x')", "bad argument #1 to 'difftime' (number expected, got string)"),
        ("os.difftime(1, {})", "bad argument #2 to 'difftime' (number expected, got table)"),
    ],
)
async def test_misuse_raises_where_it_happens(source: str, message: str) -> None:
    with pytest.raises(Error) as caught:
        await run_lua(source)
    assert message in str(caught.value)
    assert ":1: " in str(caught.value)
    assert "[kernel]" not in str(caught.value)


#: Conversions that Python writes alike in every locale.
TEMPLATE = "%Y %m %d %H %I %M %S %j %w %U"


@given(st.lists(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=50))
@settings(max_examples=20, deadline=None)
def test_dates_agree_with_datetime(moments: list[datetime]) -> None:
    source = """
        local template, stamps = ...
        local result = {}
        for i, stamp in ipairs(stamps) do result[i] = os.date(template, stamp) end
        return result
    """
    moments = [moment.replace(microsecond=0, tzinfo=UTC) for moment in moments]
    stamps: list[Any] = [int(moment.timestamp()) for moment in moments]
    result = asyncio.run(run_lua(source, "!" + TEMPLATE, stamps))
    assert result == [moment.strftime(TEMPLATE) for moment in moments]
