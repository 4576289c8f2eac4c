"""Time objects: making, arithmetic, comparison, components, rounding."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.testing import function, run_lua

#: What the virtual clock of tests begins with.
START = 1_700_000_000


async def lua(source: str, *args: Any) -> Any:
    return await run_lua(source, *args, modules=["time"])


async def test_now_is_the_clock_of_the_app() -> None:
    result = await lua("local t = time.now() return {t:unix(), t:nanosecond(), t:location():string()}")
    assert result == [START, 0, "Local"]


async def test_elapsed_time() -> None:
    source = 'local start = time.now() time.sleep("1.5s") return time.now():sub(start):milliseconds()'
    assert await lua(source) == 1500


async def test_components() -> None:
    result = await lua("""
        local t = time.date(2024, time.DECEMBER, 29, 15, 4, 5, 123456789, time.utc)
        local year, month, day = t:date()
        local hour, minute, second = t:clock()
        return {year, month, day, hour, minute, second, t:year(), t:month(), t:day(), t:hour(), t:minute(), t:second(),
                t:nanosecond(), t:weekday(), t:year_day(), t:unix(), t:unix_nano(), t:is_zero()}
    """)
    date = [2024, 12, 29, 15, 4, 5]
    assert result == [*date, *date, 123456789, 0, 364, 1735484645, 1735484645123456789, False]


async def test_constants() -> None:
    result = await lua("return {time.NANOSECOND, time.HOUR, time.JANUARY, time.DECEMBER, time.SUNDAY, time.SATURDAY}")
    assert result == [1, 3600 * 10**9, 1, 12, 0, 6]


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("2024, 2, 30, 0, 0, 0, 0", "2024-03-01T00:00:00Z"),
        ("2024, 14, 1, 0, 0, 0, 0", "2025-02-01T00:00:00Z"),
        ("2024, 0, 1, 0, 0, 0, 0", "2023-12-01T00:00:00Z"),
        ("2024, 3, 0, 0, 0, 0, 0", "2024-02-29T00:00:00Z"),
        ("2024, 1, 1, -1, 0, 0, 0", "2023-12-31T23:00:00Z"),
        ("2024, 1, 1, 0, 61, 61, 0", "2024-01-01T01:02:01Z"),
        ("2024, 1, 1, 0, 0, 0, -1", "2023-12-31T23:59:59.999999999Z"),
        ("2024.0, 1.0, 1.0, 0, 0, 0, 0", "2024-01-01T00:00:00Z"),
    ],
)
async def test_dates_carry_over(arguments: str, written: str) -> None:
    assert await lua(f"return time.date({arguments}, time.utc):format(time.RFC3339NANO)") == written


async def test_unix_takes_any_nanoseconds() -> None:
    source = "local t = time.unix(10, -1500000000) return {t:unix(), t:nanosecond(), time.unix(1703862245):unix()}"
    assert await lua(source) == [8, 500000000, 1703862245]


async def test_javascript_timestamp_of_the_manual() -> None:
    source = """
        local js = 1703862245123
        return time.unix(js // 1000, (js % 1000) * 1000000):utc():format(time.RFC3339NANO)
    """
    assert await lua(source) == "2023-12-29T15:04:05.123Z"


async def test_arithmetic() -> None:
    result = await lua("""
        local t = time.date(2024, 1, 31, 12, 0, 0, 0, time.utc)
        local function text(value) return value:format_rfc3339() end
        return {
          text(t:add("24h")), text(t:add(5 * time.MINUTE)), text(t:add(time.parse_duration("-1h30m"))),
          text(t:add_date(0, 1, 0)), text(t:add_date(1, 0, 0)), text(t:add_date(0, 0, -31)),
          tostring(t:add("24h"):sub(t)), t:add("24h"):sub(t):hours(),
          text(t + time.parse_duration("1s")), text(t - time.parse_duration("1s")), tostring(t - t:add("1s")),
        }
    """)
    assert result == [
        "2024-02-01T12:00:00Z",
        "2024-01-31T12:05:00Z",
        "2024-01-31T10:30:00Z",
        "2024-03-02T12:00:00Z",
        "2025-01-31T12:00:00Z",
        "2023-12-31T12:00:00Z",
        "24h0m0s",
        24,
        "2024-01-31T12:00:01Z",
        "2024-01-31T11:59:59Z",
        "-1s",
    ]


async def test_a_difference_too_long_for_a_duration_stops_at_the_longest() -> None:
    source = """
        local early, late = time.date(1, 1, 1, 0, 0, 0, 0, time.utc), time.date(2024, 1, 1, 0, 0, 0, 0, time.utc)
        return {late:sub(early):nanoseconds() == math.maxinteger, early:sub(late):nanoseconds() == math.mininteger}
    """
    assert await lua(source) == [True, True]


async def test_comparison() -> None:
    result = await lua("""
        local a, b = time.unix(1, 0), time.unix(1, 1)
        local there = a:in_location(time.fixed_zone("X", 3600))
        return {a:before(b), b:before(a), b:after(a), a:after(a), a:equal(there), a == there, a == b, a < b, a <= there,
                b <= a, a == 1}
    """)
    assert result == [True, False, True, False, True, True, False, True, True, False, False]


async def test_zero_time() -> None:
    source = "return {time.date(1, 1, 1, 0, 0, 0, 0, time.utc):is_zero(), time.unix(0, 0):is_zero()}"
    assert await lua(source) == [True, False]


@pytest.mark.parametrize(
    ("unit", "rounded", "truncated"),
    [
        ("1h", "2024-12-29T15:00:00Z", "2024-12-29T14:00:00Z"),
        ("15m", "2024-12-29T14:30:00Z", "2024-12-29T14:30:00Z"),
        ("1us", "2024-12-29T14:30:45.123457Z", "2024-12-29T14:30:45.123456Z"),
        ("7h", "2024-12-29T17:00:00Z", "2024-12-29T10:00:00Z"),  # multiples count from year 1
        ("0", "2024-12-29T14:30:45.123456789Z", "2024-12-29T14:30:45.123456789Z"),
    ],
)
async def test_rounding(unit: str, rounded: str, truncated: str) -> None:
    source = """
        local unit = time.parse_duration(...)
        local t = time.date(2024, 12, 29, 14, 30, 45, 123456789, time.utc)
        return {t:round(unit):format(time.RFC3339NANO), t:truncate(unit):format(time.RFC3339NANO)}
    """
    assert await lua(source, unit) == [rounded, truncated]


async def test_half_rounds_up() -> None:
    source = 'return time.unix(0, 500000000):round(time.parse_duration("1s")):unix()'
    assert await lua(source) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("time.now():round(5)", "bad argument #2 to 'round' (Duration expected, got number)"),
        ("time.now():truncate('1h')", "bad argument #2 to 'truncate' (Duration expected, got string)"),
        ("time.now():sub(5)", "bad argument #2 to 'sub' (Time expected, got number)"),
        ("time.now().unix()", "bad argument #1 to 'unix' (Time expected, got nil)"),
        ("time.now():in_location('UTC')", "bad argument #2 to 'in_location' (Location expected, got string)"),
        ("time.now():format()", "bad argument #2 to 'format' (string expected, got nil)"),
        ("time.date(2024)", "bad argument #2 to 'date' (integer expected, got nil)"),
        ("time.date(2024, 1, 1, 0, 0, 0, 0, 5)", "bad argument #8 to 'date' (Location expected, got number)"),
        ("time.unix('x')", "bad argument #1 to 'unix' (integer expected, got string)"),
        ("time.unix(0/0)", "bad argument #1 to 'unix' (integer expected, got number)"),
        ("return time.now() < 5", "attempt to compare a Time and a number value"),
        ("return time.now() + time.now()", "attempt to add a Time and a Time value"),
        ("return time.now() - 5", "attempt to subtract a Time and a number value"),
    ],
)
async def test_misuse_raises_where_it_happens(source: str, message: str) -> None:
    with pytest.raises(Error) as caught:
        await lua(source)
    assert message in str(caught.value)
    assert ":1: " in str(caught.value)


async def test_adding_what_is_no_duration_returns_an_error() -> None:
    with pytest.raises(Error, match='invalid duration "soon"') as caught:
        await lua('return time.now():add("soon")')
    assert caught.value.kind == INVALID


async def test_values_stay_in_their_process() -> None:
    # Reference, "payload copy": userdata other than Errors becomes nil.
    other = function("app:other", "return function(value) return type(value.t) .. type(value.d) .. value.n end")
    source = """
        return funcs.call("app:other", {t = time.now(), d = time.parse_duration("1s"), n = 1})
    """
    assert await run_lua(source, modules=["time"], entries=[other]) == "nilnil1"


async def test_values_look_like_userdata_and_cannot_be_changed() -> None:
    source = """
        local t = time.now()
        return {type(t), type(time.utc), (pcall(function() t.x = 1 end)), (pcall(function() time.now = nil end)),
                getmetatable(t) == nil}
    """
    assert await lua(source) == ["userdata", "userdata", False, False, True]


moments = st.tuples(
    st.datetimes(datetime(1, 1, 1), datetime(9990, 1, 1)),
    st.integers(-(10**16), 10**16),
)


@given(st.lists(moments, min_size=1, max_size=50))
@settings(max_examples=20, deadline=None)
def test_calendar_agrees_with_datetime(cases: list[tuple[datetime, int]]) -> None:
    source = """
        local result = {}
        for i, case in ipairs(...) do
          local t = time.date(case[1], case[2], case[3], case[4], case[5], case[6], case[7] * 1000, time.utc)
          local back = t:add(case[8] * 1000):add(-case[8] * 1000)
          result[i] = {t:unix(), t:nanosecond(), t:weekday(), t:year_day(), t:year(), t:month(), t:day(), back == t,
                       t:add(case[8] * 1000):unix()}
        end
        return result
    """
    batch = [[m.year, m.month, m.day, m.hour, m.minute, m.second, m.microsecond, shift // 1000] for m, shift in cases]
    for (m, shift), got in zip(cases, asyncio.run(lua(source, batch)), strict=True):
        epoch = datetime(1970, 1, 1)
        seconds = (m - epoch) // timedelta(seconds=1)
        later = (m - epoch + timedelta(microseconds=shift // 1000)) // timedelta(seconds=1)
        day = m.replace(tzinfo=UTC).timetuple().tm_yday
        assert got == [seconds, m.microsecond * 1000, m.isoweekday() % 7, day, m.year, m.month, m.day, True, later]
