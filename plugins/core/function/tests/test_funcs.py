"""The module funcs and the kind function.lua (reference, section 4: funcs, call options, context)."""

from __future__ import annotations

import asyncio

import pytest

from wippy.errors import Error
from wippy.testing import app_of, function, library, run_lua

ADD = function("app:add", "return function(a, b) return a + b end")
FAILS = function(
    "app:fails",
    'return function() return nil, errors.new({message = "taken", kind = errors.CONFLICT, retryable = true, '
    'details = {by = "x"}}) end',
)
RAISES = function("app:raises", "return function() local t = nil; return t.x end")
SLOW = function(
    "app:slow", 'local time = require("time") return function() time.sleep("10s") return "done" end', ["time"]
)


async def lua(source, *entries, **options):
    return await run_lua(source, entries=entries, **options)


async def test_call_gives_the_value():
    assert await lua('return funcs.call("app:add", 1, 2)', ADD) == 3


async def test_an_error_keeps_kind_details_and_retryable():
    result = await lua(
        """
        local value, err = funcs.call("app:fails")
        return {value == nil, err:kind(), err:message(), err:retryable(), err:details().by, type(err)}
        """,
        FAILS,
    )
    assert result == [True, "Conflict", "taken", True, "x", "userdata"]


async def test_a_raised_error_is_internal_and_has_a_stack_with_lines():
    result = await lua(
        'local _, err = funcs.call("app:raises") return {err:kind(), err:message(), err:stack()}', RAISES
    )
    assert result[0] == "Internal"
    assert "app:raises:1:" in result[1]
    assert "app:raises:1" in result[2]


async def test_the_brief_uses_funcs_without_listing_and_require_gives_it():
    assert await lua('return require("funcs").call("app:add", 2, 2)', ADD) == 4


@pytest.mark.parametrize("target", ['""', "nil", '"name"', '":name"', '"ns:"'])
async def test_a_target_needs_namespace_and_name(target):
    result = await lua(
        f"local a, e = funcs.call({target}) local b, f = funcs.async({target}) return {{e:kind(), f:kind()}}"
    )
    assert result == ["Invalid", "Invalid"]


async def test_an_unknown_function_is_not_found():
    with pytest.raises(Error, match="app:nothing") as caught:
        await lua('return funcs.call("app:nothing")')
    assert caught.value.kind == "NotFound"


async def test_arguments_and_results_are_copies():
    keeper = function(
        "app:keeper", "local kept = {n = 0} return function(t) t.n = t.n + 1 kept.n = t.n return kept end"
    )
    result = await lua(
        """
        local mine = {n = 1}
        local got = funcs.call("app:keeper", mine)
        got.n = 100
        local again = funcs.call("app:keeper", mine)
        return {mine.n, again.n}
        """,
        keeper,
    )
    assert result == [1, 2]


# Futures ---------------------------------------------------------------------------------------------------------------


async def test_result_of_a_fresh_future_waits():
    result = await lua(
        """
        local future = funcs.async("app:slow")
        local value, err = future:result()
        return {value, err == nil, future:is_complete(), value:data()}
        """,
        SLOW,
    )
    assert result == ["done", True, True, "done"]


async def test_a_polled_future_never_waits():
    result = await lua(
        """
        local future = funcs.async("app:slow")
        local complete = future:is_complete()
        local value, err = future:result()
        return {complete, value == nil, err == nil}
        """,
        SLOW,
    )
    assert result == [False, True, True]


async def test_the_channel_gives_payloads_and_errors():
    result = await lua(
        """
        local good, bad = funcs.async("app:add", 1, 1), funcs.async("app:fails")
        local value, ok = good:channel():receive()
        local err, also_ok = bad:response():receive()
        local failure, failed = bad:error()
        return {value:data(), ok, err:kind(), also_ok, failure:kind(), failed, good:channel() == good:response()}
        """,
        ADD,
        FAILS,
    )
    assert result == [2, True, "Conflict", True, "Conflict", True, True]


async def test_a_table_result_is_a_payload_that_reads_like_the_table():
    rows = function("app:rows", "return function() return {{id = 1}, {id = 2}} end")
    result = await lua(
        """
        local rows = funcs.async("app:rows"):result()
        local ids = {}
        for i, row in ipairs(rows) do ids[i] = row.id end
        return {#rows, ids, rows[2].id, rows:get_format(), rows:data()[1].id}
        """,
        rows,
    )
    assert result == [2, [1, 2], 2, "lua/any", 1]


async def test_cancel():
    result = await lua(
        """
        local future = funcs.async("app:slow")
        local ok = future:cancel()
        local value, err = future:result()
        return {ok, future:is_canceled(), value == nil, err:kind(), future:cancel()}
        """,
        SLOW,
    )
    assert result == [True, True, True, "Canceled", False]


async def test_many_at_once_run_side_by_side():
    result = await lua(
        """
        local time = require("time")
        local began = time.now()
        local futures = {}
        for i = 1, 20 do futures[i] = funcs.async("app:slow") end
        for i = 1, 20 do futures[i]:result() end
        return time.now():sub(began):seconds()
        """,
        SLOW,
        modules=["time"],
    )
    assert result == 10


# Executors -------------------------------------------------------------------------------------------------------------


async def test_context_reaches_the_callee_and_what_it_calls():
    inner = function("app:inner", 'return function() return require("ctx").all() end', ["ctx"])
    outer = function("app:outer", 'return function() return funcs.call("app:inner") end')
    result = await lua(
        """
        local base = funcs.new():with_context({tenant = "acme", n = 1})
        local other = base:with_context({n = 2})
        return {(base:call("app:outer")), (other:async("app:outer"):result():data())}
        """,
        inner,
        outer,
    )
    assert result == [{"tenant": "acme", "n": 1}, {"tenant": "acme", "n": 2}]


@pytest.mark.parametrize("timeout", ["2000", '"2s"'])
async def test_timeout_is_in_milliseconds_or_text(timeout):
    result = await lua(
        f"""
        local time = require("time")
        local began = time.now()
        local value, err = funcs.new():with_options({{timeout = {timeout}}}):call("app:slow")
        return {{err:kind(), err:retryable(), time.now():sub(began):seconds()}}
        """,
        SLOW,
        modules=["time"],
    )
    assert result == ["Timeout", True, 2]


FLAKY = function(
    "app:flaky",
    """
    local tries = 0
    return function(kind)
      tries = tries + 1
      if tries < 3 then return nil, errors.new({message = "try " .. tries, kind = kind}) end
      return tries
    end
    """,
)


async def test_retry_until_it_works():
    result = await lua(
        'return funcs.new():with_options({retry = {max_attempts = 3}}):call("app:flaky", errors.UNAVAILABLE)', FLAKY
    )
    assert result == 3


@pytest.mark.parametrize(
    ("policy", "kind", "expected"),
    [
        ("{max_attempts = 2}", "errors.UNAVAILABLE", "try 2"),
        ("{max_attempts = 5}", "errors.INVALID", "try 1"),
        ('{max_attempts = 5, skip_kinds = {"Unavailable"}}', "errors.UNAVAILABLE", "try 1"),
        ('{max_attempts = 2, retry_kinds = {"INVALID"}}', "errors.INVALID", "try 2"),
    ],
)
async def test_what_is_retried(policy, kind, expected):
    result = await lua(
        f"local _, err = funcs.new():with_options({{retry = {policy}}}):call('app:flaky', {kind}) return err:message()",
        FLAKY,
    )
    assert result == expected


async def test_meta_options_are_defaults_that_the_caller_overrides():
    slow = function("app:slow2", SLOW.data["source"], ["time"])
    slow.meta["options"] = {"timeout": "1s"}
    result = await lua(
        """
        local _, err = funcs.call("app:slow2")
        local value = funcs.new():with_options({timeout = "20s"}):call("app:slow2")
        return {err:kind(), value}
        """,
        slow,
    )
    assert result == ["Timeout", "done"]


@pytest.mark.parametrize("options", ["1", '{timeout = "fast"}', "{retry = 1}", "{retry = {max_attempts = 0}}"])
async def test_bad_options_are_invalid(options):
    assert await lua(f"local _, err = funcs.new():with_options({options}) return err:kind()") == "Invalid"


# Pools -----------------------------------------------------------------------------------------------------------------


async def test_module_state_survives_calls_and_instances_are_not_shared_while_they_run():
    counter = function(
        "app:counter",
        """
        local time = require("time")
        local calls, running = 0, 0
        return function()
          calls, running = calls + 1, running + 1
          assert(running == 1, "shared while running")
          time.sleep("1s")
          running = running - 1
          return calls
        end
        """,
        ["time"],
    )
    async with app_of(counter) as app:
        assert await app.call("app:counter") == 1
        assert await app.call("app:counter") == 2
        assert sorted(await asyncio.gather(app.call("app:counter"), app.call("app:counter"))) == [1, 3]


async def test_a_full_pool_makes_calls_wait_and_a_full_line_refuses():
    entry = function("app:one", SLOW.data["source"], ["time"], pool={"max_size": 1, "buffer": 2})
    async with app_of(entry) as app:
        results = await asyncio.gather(*(app.call("app:one") for _ in range(4)), return_exceptions=True)
    assert results[:3] == ["done"] * 3
    assert results[3].kind == "RateLimited"
    assert "app:one" in str(results[3])


async def test_a_cancelled_caller_ends_the_call():
    stopper = function(
        "app:stopper",
        'local time = require("time") return function() time.sleep("1h") end',
        ["time"],
        pool={"max_size": 1, "buffer": 1},
    )
    async with app_of(stopper) as app:
        task = asyncio.ensure_future(app.call("app:stopper"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Error) as caught:
            await app.call("app:stopper", timeout=1.0)  # the instance is free again: this one starts and times out
        assert caught.value.kind == "Timeout"


async def test_a_function_may_spawn_wait_and_select():
    result = await lua(
        """
        local ch = channel.new()
        coroutine.spawn(function() ch:send("from a coroutine") end)
        return (ch:receive())
        """
    )
    assert result == "from a coroutine"


# Kinds -----------------------------------------------------------------------------------------------------------------


async def test_chunks_may_return_a_table_of_methods():
    entry = function("app:table", "return {main = function() return 1 end, other = function() return 2 end}")
    entry.data["method"] = "other"
    assert await lua('return funcs.call("app:table")', entry) == 2


async def test_imports_share_globals_with_their_importer():
    helper = library("app:helper", "count = (count or 0) + 1 return {get = function() return count, marker end}")
    both = function(
        "app:both",
        """
        local helper = require("helper")
        return function() marker = "set" local c, m = helper.get() return {c, m, count} end
        """,
        imports={"helper": "app:helper", "again": "app:helper"},
    )
    assert await lua('return funcs.call("app:both")', helper, both) == [1, "set", 1]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (function("app:bad", "return function( end"), "app:bad:1:"),
        (function("app:bad", "return 1", ["no_such_module"]), 'no plugin provides module "no_such_module"'),
        (function("app:bad", "return 1", imports={"x": "app:missing"}), "app:missing"),
        (function("app:bad", "return 1", imports={"x": "app:add"}), "is a function"),
        (function("app:bad", "return 1", pool={"type": "fast"}), "pool"),
    ],
)
async def test_a_bad_entry_stops_the_boot_with_a_reason(entry, words):
    with pytest.raises(Error) as caught:
        async with app_of(ADD, entry):
            pass
    assert words in str(caught.value)


async def test_require_names_the_line_to_add():
    with pytest.raises(Error, match=r"add it to the entry's modules: \[json\]"):
        await lua('return require("json")')
