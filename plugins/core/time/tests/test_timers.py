"""Sleeping, after, timers and tickers, on the virtual clock."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.errors import INVALID, Error
from wippy.testing import run_lua

#: Puts `ms()`, the milliseconds since the start, before a test's Lua.
PRELUDE = "local start = time.now() local function ms() return time.now():sub(start):milliseconds() end "


async def lua(source: str, *args: Any) -> Any:
    return await run_lua(PRELUDE + source, *args, modules=["time"])


async def test_sleep_takes_all_forms_of_duration() -> None:
    source = """
        local at = {}
        for _, duration in ipairs({"5s", 500 * time.MILLISECOND, time.parse_duration("1m"), "0", -1}) do
          assert(time.sleep(duration))
          at[#at + 1] = ms()
        end
        return at
    """
    assert await lua(source) == [5000, 5500, 65500, 65500, 65500]


async def test_sleep_lets_others_run() -> None:
    source = """
        local order = {}
        coroutine.spawn(function() order[1] = "other" end)
        time.sleep(0)
        order[2] = "main"
        return order
    """
    assert await lua(source) == ["other", "main"]


async def test_sleep_refuses_what_is_no_duration() -> None:
    with pytest.raises(Error, match='invalid duration "later"') as caught:
        await lua('return time.sleep("later")')
    assert caught.value.kind == INVALID


async def test_after_gives_the_time_once() -> None:
    source = """
        local channel = time.after("5s")
        local value, ok = channel:receive()
        return {value:sub(start):seconds(), ok, ms()}
    """
    assert await lua(source) == [5, True, 5000]


async def test_after_as_a_timeout() -> None:
    source = """
        local never = channel.new()
        local timeout = time.after("30s")
        local result = channel.select{never:case_receive(), timeout:case_receive()}
        return {result.channel == timeout, result.ok, ms()}
    """
    assert await lua(source) == [True, True, 30000]


@pytest.mark.parametrize("source", ["time.timer", "time.ticker", "time.timer('1s'):reset"])
@pytest.mark.parametrize("value", ["'0'", "0", "-5", "'-1s'", "'soon'", "nil", "{}"])
async def test_timers_and_tickers_want_a_positive_duration(source: str, value: str) -> None:
    call = source.replace(":reset", "")
    code = f"local t = {call} return t:reset({value})" if source.endswith("reset") else f"return {call}({value})"
    with pytest.raises(Error, match="duration") as caught:
        await lua(code)
    assert caught.value.kind == INVALID


async def test_after_refuses_what_is_no_duration() -> None:
    with pytest.raises(Error, match='invalid duration "later"'):
        await lua('return time.after("later")')


@pytest.mark.parametrize("wait", ["t:response():receive()", "t:channel():receive()", "t:receive()"])
async def test_timer(wait: str) -> None:
    source = f"local t = time.timer('5s') local value = {wait} return {{value:sub(start):seconds(), ms(), type(t)}}"
    assert await lua(source) == [5, 5000, "userdata"]


async def test_both_channels_of_a_timer_are_one() -> None:
    assert await lua("local t = time.timer('5s') return t:channel() == t:response()") is True


async def test_a_timer_in_select_is_its_own_channel() -> None:
    source = """
        local timer, ticker = time.timer("5s"), time.ticker("3s")
        local first = channel.select{timer:case_receive(), ticker:case_receive()}
        ticker:stop()
        local second = channel.select{timer:case_receive(), ticker:case_receive()}
        return {first.channel == ticker, second.channel == timer, ms()}
    """
    assert await lua(source) == [True, True, 5000]


async def test_stop_and_reset_of_a_running_timer() -> None:
    source = """
        local timer = time.timer("5s")
        local stopped, again = timer:stop(), timer:stop()
        time.sleep("10s")
        local silent = channel.select{timer:case_receive(), default = true}.default
        local was_running = timer:reset("2s")
        local moved = timer:reset(3 * time.SECOND)
        timer:receive()
        return {stopped, again, silent, was_running, moved, ms()}
    """
    assert await lua(source) == [True, False, True, False, True, 13000]


async def test_stop_takes_back_what_was_not_received() -> None:
    source = """
        local timer = time.timer("1s")
        time.sleep("2s")
        local stopped = timer:stop()
        local silent = channel.select{timer:case_receive(), default = true}.default
        time.sleep("1s")
        timer:reset("1s")
        return {stopped, silent, timer:receive():sub(start):seconds()}
    """
    assert await lua(source) == [True, True, 4]


async def test_idle_timer_of_the_manual() -> None:
    source = """
        local activity = channel.new()
        coroutine.spawn(function()
          for _ = 1, 3 do time.sleep("2m") activity:send(true) end
        end)
        local timer = time.timer("5m")
        while true do
          local result = channel.select{activity:case_receive(), timer:response():case_receive()}
          if result.channel == timer:response() then return ms() / 60000 end
          timer:reset("5m")
        end
    """
    assert await lua(source) == 11


async def test_ticker_keeps_its_beat() -> None:
    source = """
        local ticker = time.ticker("100ms")
        local at = {}
        for i = 1, 3 do
          local tick = ticker:response():receive()
          at[i] = tick:sub(start):milliseconds()
          time.sleep("30ms")
        end
        return {at, ticker:stop(), ticker:stop()}
    """
    assert await lua(source) == [[100, 200, 300], True, False]


async def test_ticks_that_nobody_received_are_dropped() -> None:
    source = """
        local ticker = time.ticker("1s")
        time.sleep("3500ms")
        local at = {}
        for i = 1, 3 do at[i] = ticker:receive():sub(start):milliseconds() end
        return at
    """
    assert await lua(source) == [1000, 4000, 5000]


async def test_a_stopped_ticker_is_silent() -> None:
    source = """
        local ticker = time.ticker("1s")
        time.sleep("1500ms")
        local stopped = ticker:stop()
        time.sleep("5s")
        return {stopped, channel.select{ticker:case_receive(), default = true}.default}
    """
    assert await lua(source) == [True, True]


async def test_a_channel_that_the_program_closed_gets_nothing_more() -> None:
    source = """
        local ticker, timer, after = time.ticker("1s"), time.timer("1s"), time.after("1s")
        ticker:channel():close()
        timer:channel():close()
        after:close()
        time.sleep("5s")
        local value, ok = ticker:receive()
        return {value == nil, ok, ticker:stop(), timer:stop()}
    """
    assert await lua(source) == [True, False, True, False]


@pytest.mark.parametrize("method", ["stop", "reset", "response", "channel", "receive", "case_receive"])
async def test_methods_check_what_they_are_called_on(method: str) -> None:
    with pytest.raises(Error) as caught:
        await lua(f"return time.timer('1s').{method}(time.ticker('1s'))")
    assert f"bad argument #1 to '{method}' (Timer expected, got userdata)" in str(caught.value)
