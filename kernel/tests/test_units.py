"""Durations, sizes and scalars as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.units import parse_duration, parse_scalar, parse_size

NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("-1.5h", -5400.0),
        ("+10s", 10.0),
        ("100µs", 1e-4),
        ("100μs", 1e-4),
        ("7ns", 7e-9),
        ("1m1s", 61.0),
        (" 30s ", 30.0),
        ("0", 0.0),
        ("-0", 0.0),
        (5, 5.0),
        (2.5, 2.5),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("30", 'duration "30" has no unit: write "30s" for seconds'),
        ("1.5", 'duration "1.5" has no unit: write "1.5s" for seconds'),
        ("", '"" is not a duration: expected text like "1h30m", "1.5s" or "500ms"'),
        ("1d", '"1d" is not a duration: expected text like "1h30m", "1.5s" or "500ms"'),
        ("s", '"s" is not a duration: expected text like "1h30m", "1.5s" or "500ms"'),
        ("1h 30m", '"1h 30m" is not a duration: expected text like "1h30m", "1.5s" or "500ms"'),
        (".s", '".s" is not a duration: expected text like "1h30m", "1.5s" or "500ms"'),
        (True, 'duration must be text like "1h30m" or a number of seconds, got True'),
        (None, 'duration must be text like "1h30m" or a number of seconds, got None'),
        (float("nan"), "duration must be finite, got nan"),
        (float("inf"), "duration must be finite, got inf"),
    ],
)
def test_what_is_not_a_duration(value: Any, message: str) -> None:
    with pytest.raises(Error) as caught:
        parse_duration(value)
    assert (caught.value.message, caught.value.kind) == (message, INVALID)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(sorted(NANOSECONDS))), min_size=1), st.booleans())
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]], negative: bool) -> None:
    text = ("-" if negative else "") + "".join(f"{number}{unit}" for number, unit in parts)
    total = sum(number * NANOSECONDS[unit] for number, unit in parts) * 1e-9
    assert parse_duration(text) == pytest.approx(-total if negative else total)


@given(st.text())
def test_any_text_is_a_duration_or_an_invalid_error(text: str) -> None:
    try:
        value: object = parse_duration(text)
    except Error as error:
        value = error.kind
    assert isinstance(value, float) or value == INVALID


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 << 20),
        ("1G", 1 << 30),
        ("1.5G", 3 << 29),
        ("64KiB", 64 << 10),
        ("10kb", 10 << 10),
        ("2 T", 2 << 40),
        ("1P", 1 << 50),
        ("100", 100),
        ("100B", 100),
        (4096, 4096),
        ("0", 0),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "M", "-1", "1X", "1.5.2M", -1, True, None, 1.5])
def test_what_is_not_a_size(value: Any) -> None:
    with pytest.raises(Error) as caught:
        parse_size(value)
    assert caught.value.message == f'"{value}" is not a size: expected bytes or text like "512M" or "1.5G"'
    assert caught.value.kind == INVALID


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("5432", 5432),
        ("-1", -1),
        ("+3", 3),
        ("0", 0),
        ("007", "007"),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-2.5e-3", -0.0025),
        ("1e999", "1e999"),
        ("00.5", "00.5"),
        ("inf", "inf"),
        ("nan", "nan"),
        ("1_000", "1_000"),
        ("5s", "5s"),
        (":9090", ":9090"),
        ("node-2:7946,node-3:7946", "node-2:7946,node-3:7946"),
        ("", ""),
        (" 1", " 1"),
    ],
)
def test_scalars_by_their_shape(text: str, value: object) -> None:
    parsed = parse_scalar(text)
    assert (parsed, type(parsed)) == (value, type(value))


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_what_json_prints_comes_back(value: float | bool) -> None:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    parsed = parse_scalar(text)
    assert (parsed, type(parsed)) == (value, type(value))
