"""Formatting and parsing by Go layouts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.testing import run_lua

#: Sunday, in the afternoon, the 64th day of a leap year, and five hours and a half east.
SAMPLE = 'time.date(2024, 3, 3, 15, 4, 5, 67089000, time.fixed_zone("IST", 19800))'


async def lua(source: str, *args: Any) -> Any:
    return await run_lua(source, *args, modules=["time"])


@pytest.mark.parametrize(
    ("layout", "written"),
    [
        ("2006 06", "2024 24"),
        ("January Jan 1 01", "March Mar 3 03"),
        ("Monday Mon", "Sunday Sun"),
        ("2 _2 02", "3  3 03"),
        ("002 __2", "063  63"),
        ("15 3 03", "15 3 03"),
        ("4 04 5 05", "4 04 5 05"),
        ("PM pm", "PM pm"),
        ("05.000 05.999 05,000000 05.999999999", "05.067 05.067 05,067089 05.067089"),
        (".0000000000 .00x", ".067089000 .06x"),
        ("MST", "IST"),
        ("-0700 -07 -07:00 -070000 -07:00:00", "+0530 +05 +05:30 +053000 +05:30:00"),
        ("Z0700 Z07 Z07:00 Z070000 Z07:00:00", "+0530 +05 +05:30 +053000 +05:30:00"),
        ("Janet Months 0.5", "Janet Months 0.5"),
        ("_2006 .0001", "_2024 .0003"),
        ("%Y at 100% ", "%Y at 300% "),
        ("", ""),
    ],
)
async def test_elements(layout: str, written: str) -> None:
    assert await lua(f"return {SAMPLE}:format(...)", layout) == written


@pytest.mark.parametrize(
    ("constant", "written"),
    [
        ("RFC3339", "2024-03-03T15:04:05+05:30"),
        ("RFC3339NANO", "2024-03-03T15:04:05.067089+05:30"),
        ("RFC822", "03 Mar 24 15:04 IST"),
        ("RFC822Z", "03 Mar 24 15:04 +0530"),
        ("RFC850", "Sunday, 03-Mar-24 15:04:05 IST"),
        ("RFC1123", "Sun, 03 Mar 2024 15:04:05 IST"),
        ("RFC1123Z", "Sun, 03 Mar 2024 15:04:05 +0530"),
        ("KITCHEN", "3:04PM"),
        ("STAMP", "Mar  3 15:04:05"),
        ("STAMP_MILLI", "Mar  3 15:04:05.067"),
        ("STAMP_MICRO", "Mar  3 15:04:05.067089"),
        ("STAMP_NANO", "Mar  3 15:04:05.067089000"),
        ("DATE_TIME", "2024-03-03 15:04:05"),
        ("DATE_ONLY", "2024-03-03"),
        ("TIME_ONLY", "15:04:05"),
    ],
)
async def test_constants(constant: str, written: str) -> None:
    assert await lua(f"return {SAMPLE}:format(time.{constant})") == written


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("time.unix(0, 0):utc():format('3PM 03pm Z07:00 Z0700 -0700 MST')", "12AM 12am Z Z +0000 UTC"),
        ("time.date(2024, 1, 1, 12, 0, 0, 0, time.utc):format('3PM .999')", "12PM "),
        ("time.date(-5, 1, 1, 0, 0, 0, 0, time.utc):format('2006 06')", "-0005 00"),
        ("time.date(12345, 1, 1, 0, 0, 0, 0, time.utc):format('2006 06')", "12345 45"),
        ("time.unix(0, 0):in_location(time.fixed_zone('', -12600)):format('MST -07:00')", "-0330 -03:30"),
        ("tostring(time.unix(0, 500):utc())", "1970-01-01 00:00:00.0000005 +0000 UTC"),
        ("time.unix(0, 500):utc():format_rfc3339()", "1970-01-01T00:00:00Z"),
    ],
)
async def test_edges_of_formatting(source: str, written: str) -> None:
    assert await lua(f"return {source}") == written


@pytest.mark.parametrize(
    ("layout", "text", "written"),
    [
        ("2006-01-02T15:04:05Z07:00", "2024-12-29T15:04:05Z", "2024-12-29 15:04:05 +0000 UTC"),
        ("2006-01-02T15:04:05Z07:00", "2024-12-29T15:04:05.25+02:00", "2024-12-29 15:04:05.25 +0200 +0200"),
        ("2006-01-02", "2024-12-29", "2024-12-29 00:00:00 +0000 UTC"),
        ("15:04:05", "14:30:00", "0000-01-01 14:30:00 +0000 UTC"),
        ("Mon Jan 2 2006", "mon DEC 9 2024", "2024-12-09 00:00:00 +0000 UTC"),
        ("Monday, January _2 2006", "Sunday, March  3 2024", "2024-03-03 00:00:00 +0000 UTC"),
        ("02 Jan 06", "03 Mar 69", "1969-03-03 00:00:00 +0000 UTC"),
        ("02 Jan 06", "03 Mar 68", "2068-03-03 00:00:00 +0000 UTC"),
        ("3:04PM", "12:30AM", "0000-01-01 00:30:00 +0000 UTC"),
        ("3:04pm", "1:30pm", "0000-01-01 13:30:00 +0000 UTC"),
        ("2006 __2", "2024  60", "2024-02-29 00:00:00 +0000 UTC"),
        ("2006-002", "2023-060", "2023-03-01 00:00:00 +0000 UTC"),
        ("05.000", "05.067", "0000-01-01 00:00:05.067 +0000 UTC"),
        ("05,999", "05,1234567891", "0000-01-01 00:00:05.123456789 +0000 UTC"),
        ("05.999", "05", "0000-01-01 00:00:05 +0000 UTC"),
        ("2006   15", "2024 7", "2024-01-01 07:00:00 +0000 UTC"),
        ("15 MST", "7 EST", "0000-01-01 07:00:00 +0000 EST"),
        ("15 MST", "7 UTC", "0000-01-01 07:00:00 +0000 UTC"),
        ("15 MST", "7 GMT+3", "0000-01-01 07:00:00 +0300 GMT+3"),
        ("15 MST -0700", "7 CEST +0200", "0000-01-01 07:00:00 +0200 CEST"),
        ("15 -07:00:00", "7 -01:02:03", "0000-01-01 07:00:00 -0102 -0102"),
    ],
)
async def test_parsing(layout: str, text: str, written: str, machine_zone: Any) -> None:
    machine_zone("UTC0")
    assert await lua("return tostring(assert(time.parse(...)))", layout, text) == written


async def test_text_without_zone_is_in_the_given_location() -> None:
    source = """
        local ny = time.load_location("America/New_York")
        local function text(value) return tostring(time.parse("2006-01-02 15:04 MST", value, ny)) end
        return {tostring(time.parse("2006-01-02 15:04", "2024-12-29 14:30", ny)), text("2024-07-01 10:00 EDT"),
                text("2024-07-01 10:00 CET"),
                time.parse("15:04 -0700", "10:00 -0400", ny):location():string(),
                time.parse("2006-01-02 15:04 -0700", "2024-07-01 10:00 -0400", ny):location():string()}
    """
    assert await lua(source) == [
        "2024-12-29 14:30:00 -0500 EST",
        "2024-07-01 10:00:00 -0400 EDT",
        "2024-07-01 10:00:00 +0000 CET",
        "",
        "America/New_York",
    ]


@pytest.mark.parametrize(
    ("layout", "text", "why"),
    [
        ("2006-01-02T15:04:05Z07:00", "invalid", 'something like "2006" at "invalid"'),
        ("2006-01-02", "2024-12", 'expected "-" at ""'),
        ("2006-01-02", "2024-13-01", "month out of range"),
        ("2006-01-02", "2023-02-29", "day out of range"),
        ("2006-01-02", "2024-01-00", "day out of range"),
        ("2006-01-02", "2024-01-01 ", 'extra text " "'),
        ("15:04", "24:00", "hour out of range"),
        ("15:04", "23:60", "minute out of range"),
        ("04:05", "23:60", "second out of range"),
        ("3PM", "13PM", "hour out of range"),
        ("3PM", "1pm", 'something like "PM" at "pm"'),
        ("Jan", "Foo", 'something like "Jan" at "Foo"'),
        ("2006-002", "2023-366", "day of year out of range"),
        ("2006-01-02 002", "2023-01-02 003", "day of year does not match"),
        ("05.000", "05.06", 'something like ".000"'),
        ("-0700", "+2500", "time zone offset out of range"),
        ("-0700", "Z", 'something like "-0700"'),
        ("MST", "Abc", 'something like "MST"'),
        ("x", "y", 'expected "x" at "y"'),
    ],
)
async def test_what_does_not_parse(layout: str, text: str, why: str) -> None:
    with pytest.raises(Error) as caught:
        await lua("return time.parse(...)", layout, text)
    assert caught.value.kind == INVALID
    assert caught.value.retryable is False
    assert why in str(caught.value)
    assert f'"{text}"' in str(caught.value)


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets)

#: Go layouts and what writes the same in Python.
SAME: dict[str, Callable[[datetime], str]] = {
    "2006-01-02T15:04:05.000000-07:00": lambda t: t.isoformat(timespec="microseconds"),
    "Mon, 02 Jan 2006 15:04:05 -0700": lambda t: f"{t:%a, %d %b} {t.year:04} {t:%H:%M:%S %z}",
    "Monday January 002 2006 03:04:05.000000 PM -0700": lambda t: f"{t:%A %B %j} {t.year:04} {t:%I:%M:%S.%f %p %z}",
}


@given(st.lists(st.tuples(st.sampled_from(sorted(SAME)), moments), min_size=1, max_size=50))
@settings(max_examples=20, deadline=None)
def test_formatting_and_parsing_agree_with_datetime(cases: list[tuple[str, datetime]]) -> None:
    source = """
        local result = {}
        for i, case in ipairs(...) do
          local layout, text, seconds, micros, offset = case[1], case[2], case[3], case[4], case[5]
          local t = time.unix(seconds, micros * 1000):in_location(time.fixed_zone("", offset))
          local parsed = time.parse(layout, text)
          local full = time.parse(time.RFC3339NANO, t:format(time.RFC3339NANO))
          result[i] = {t:format(layout), parsed and parsed:format(layout), full == t}
        end
        return result
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    batch, expected = [], []
    for layout, moment in cases:
        text = SAME[layout](moment)
        offset = moment.utcoffset()
        assert offset is not None
        batch.append(
            [layout, text, (moment - epoch) // timedelta(seconds=1), moment.microsecond, int(offset.total_seconds())]
        )
        expected.append([text, text, True])
    assert asyncio.run(lua(source, batch)) == expected


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=50))
@settings(max_examples=20, deadline=None)
def test_any_text_parses_or_is_refused(cases: list[tuple[str, str]]) -> None:
    source = """
        for _, case in ipairs(...) do
          local t, err = time.parse(case[1], case[2])
          if not t and err:kind() ~= "Invalid" then return "wrong kind" end
          if t and type(t:format(case[1])) ~= "string" then return "no text" end
        end
        return "fine"
    """
    assert asyncio.run(lua(source, [list(case) for case in cases])) == "fine"
