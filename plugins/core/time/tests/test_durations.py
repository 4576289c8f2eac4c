"""Duration objects and what parse_duration accepts (manual page lua/core/time)."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.testing import run_lua

NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


async def lua(source: str, *args: Any) -> Any:
    return await run_lua(source, *args, modules=["time"])


async def test_methods_give_integers_where_the_value_is_whole() -> None:
    result = await lua("""
        local d = time.parse_duration("1h30m45s500ms")
        return {d:hours(), d:minutes(), d:seconds(), d:milliseconds(), d:microseconds(), d:nanoseconds(),
                math.type(time.parse_duration("2h"):hours()), math.type(d:seconds())}
    """)
    assert result == [
        pytest.approx(5445.5 / 3600),
        90.75833333333334,
        5445.5,
        5445500,
        5445500000,
        5445500000000,
        "integer",
        "float",
    ]


async def test_small_units_cut_towards_zero() -> None:
    source = 'local d = time.parse_duration("-1999ns") return {d:microseconds(), d:milliseconds(), d:nanoseconds()}'
    assert await lua(source) == [-1, 0, -1999]


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        ("0", 0),
        ("-1.5h", -5400 * 10**9),
        (".5s", 5 * 10**8),
        ("1.s", 10**9),
        ("2h30m45s500ms", 9045500000000),
        ("1µs", 1000),
        ("1μs", 1000),
        (1500000000, 1500000000),
        (1.9, 1),
        (-1.9, -1),
        (5.0e9, 5 * 10**9),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
async def test_what_parse_duration_accepts(value: Any, nanoseconds: int) -> None:
    assert await lua("return time.parse_duration(...):nanoseconds()", value) == nanoseconds


async def test_a_duration_is_accepted_as_duration() -> None:
    assert await lua('return time.parse_duration(time.parse_duration("3s")):seconds()') == 3


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", 'expected text like "1h30m"'),
        ("-", 'expected text like "1h30m"'),
        ("soon", 'expected text like "1h30m"'),
        ("5", "no unit"),
        ("5 s", 'unknown unit " s"'),
        ("1d", 'unknown unit "d"'),
        ("1..5s", "no unit"),
        ("3000000h", "out of range"),
        ("9223372036854775808ns", "out of range"),
        (1e30, "out of range"),
        (float("nan"), "not finite"),
        (float("inf"), "not finite"),
        (None, "got nil"),
        ({}, "got table"),
    ],
)
async def test_what_parse_duration_refuses(value: Any, why: str) -> None:
    with pytest.raises(Error) as caught:
        await lua("return time.parse_duration(...)", value)
    assert caught.value.kind == INVALID
    assert caught.value.retryable is False
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0s"),
        ("1ns", "1ns"),
        ("1500ns", "1.5µs"),
        ("2ms", "2ms"),
        ("100s", "1m40s"),
        ("90m", "1h30m0s"),
        ("-1.25s", "-1.25s"),
        ("1h0m0.000000001s", "1h0m0.000000001s"),
        ("2562047h47m16.854775807s", "2562047h47m16.854775807s"),
    ],
)
async def test_tostring(text: str, written: str) -> None:
    assert await lua("return tostring(time.parse_duration(...))", text) == written


async def test_operators() -> None:
    result = await lua("""
        local second, minute = time.parse_duration("1s"), time.parse_duration("1m")
        return {second < minute, second <= second, minute < second, second == time.parse_duration("1000ms"),
                second == 1, tostring(minute - second), tostring(minute + second), tostring(-minute)}
    """)
    assert result == [True, True, False, True, False, "59s", "1m1s", "-1m0s"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('return time.parse_duration("1s") < 5', "attempt to compare a Duration and a number value"),
        ('return time.parse_duration("1s") + {}', "attempt to add a Duration and a table value"),
        ('return time.parse_duration("1s").seconds({})', "bad argument #1 to 'seconds' (Duration expected, got table)"),
        ('time.parse_duration("1s").x = 1', "attempt to set field 'x'"),
    ],
)
async def test_misuse_raises(source: str, message: str) -> None:
    with pytest.raises(Error) as caught:
        await lua(source)
    assert message in str(caught.value)


async def test_type_is_userdata() -> None:
    assert await lua('return type(time.parse_duration("1s"))') == "userdata"


parts = st.tuples(st.integers(0, 10**6), st.text("0123456789", max_size=6), st.sampled_from(sorted(NANOSECONDS)))


@given(st.lists(st.tuples(st.booleans(), st.lists(parts, min_size=1, max_size=4)), min_size=1, max_size=40))
@settings(max_examples=20, deadline=None)
def test_text_means_the_sum_of_its_parts(cases: list[tuple[bool, list[tuple[int, str, str]]]]) -> None:
    texts, expected = [], []
    for negative, found in cases:
        texts.append("-" * negative + "".join(f"{n}{'.' + f if f else ''}{unit}" for n, f, unit in found))
        total = sum(int(Fraction(f"{n}.{f or 0}") * NANOSECONDS[unit]) for n, f, unit in found)
        expected.append(-total if negative else total)
    source = """
        local result = {}
        for i, text in ipairs(...) do
          local duration = time.parse_duration(text)
          -- what is written reads back as the same
          local again = time.parse_duration(tostring(duration))
          result[i] = again == duration and duration:nanoseconds() or false
        end
        return result
    """
    result = asyncio.run(lua(source, texts))
    # A fraction may be off by one nanosecond for each part, as it is in Go: it is scaled in floating point.
    assert all(abs(got - want) <= len(found) for got, want, (_, found) in zip(result, expected, cases, strict=True))
