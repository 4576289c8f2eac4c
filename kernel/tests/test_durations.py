"""kernel.seconds and kernel.nanoseconds: what modules and the scheduler take durations with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wippy.sandbox.vm import Vm, VmSettings


@pytest.fixture(scope="module")
def seconds() -> Callable[..., float | bytes]:
    """kernel.seconds; for a failure it gives the Error's message and kind."""
    vm = Vm(VmSettings(clock=lambda: 0.0, wall_clock=lambda: 0, monotonic=lambda: 0.0), {})
    convert: Callable[..., float | bytes] = vm.extend(
        "test",
        b"""
        local kernel = ...
        local class = kernel.value_class("Hour", {})
        function class.nanoseconds() return 3600000000000 end
        return function(value, unit)
          if value == "an object" then value = setmetatable({}, class) elseif value == "a table" then value = {} end
          local result, err = kernel.seconds(value, unit)
          if err then
            local message, kind = kernel.error_fields(err)
            return kind .. ": " .. message
          end
          return math.type(result) == "float" and result or "not a float"
        end
        """,
    )
    return convert


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (5, b"s", 5.0),
        (0.25, b"s", 0.25),
        (1500, b"ms", 1.5),
        (2_500_000_000, b"ns", 2.5),
        (-3, b"s", -3.0),
        # A number of seconds is not held to the 292 years of nanoseconds.
        (10**12, b"s", 1e12),
        (b"1h30m", b"ms", 5400.0),
        (b"-1.5s", b"s", -1.5),
        (b"250us", b"s", 0.00025),
        (b"0", b"s", 0.0),
        (b"an object", b"s", 3600.0),
    ],
)
def test_durations(seconds: Callable[..., object], value: object, unit: bytes, expected: float) -> None:
    assert seconds(value, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"10", b'invalid duration "10": a number has no unit'),
        (b"1d", b'unknown unit "d"'),
        (b"", b"expected text like"),
        (b"9999999999999h", b"out of range"),
        (float("inf"), b"not finite"),
        (float("nan"), b"not finite"),
        (True, b"got boolean"),
        (None, b"got nil"),
        (b"a table", b"got table"),
    ],
)
def test_what_is_no_duration(seconds: Callable[..., object], value: object, why: bytes) -> None:
    message = seconds(value, b"s")
    assert isinstance(message, bytes)
    assert message.startswith(b"Invalid: invalid duration")
    assert why in message
