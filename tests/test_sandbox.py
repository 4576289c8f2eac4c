"""Hostile Lua: what a program cannot reach, and what it cannot take from its neighbours."""

from __future__ import annotations

import contextlib

import pytest

from wippy.errors import Error
from wippy.testing import app_of, function, host, process, run_lua

ABSENT = ["debug", "load", "loadstring", "loadfile", "dofile", "collectgarbage", "io", "python", "rawlen2", "setfenv"]


@pytest.mark.parametrize("name", ABSENT)
async def test_absent_is_absent(name):
    assert await run_lua(f"return {name} == nil and _G.{name} == nil and rawget(_G, '{name}') == nil") is True


@pytest.mark.parametrize(
    "attack",
    [
        "string.upper = nil",
        "string.x = 1",
        "rawset(string, 'x', 1)",
        "table.insert(math, 1)",
        "setmetatable(string, {})",
        "getmetatable('').__index = {}",
        "setmetatable('', {})",
        "errors.new = nil",
        "process.event.EXIT = 1",
        "for k, v in pairs(string) do string[k] = nil end",
        "next(string) .x = 1",
        "setmetatable(process.inbox(), {})",
        "process.inbox().receive = nil",
        "rawset(process.inbox(), 'x', 1)",
        "setmetatable({}, {__gc = function() end})",
        "string.dump(function() end)",
        "os.execute('true')",
        "os.exit(1)",
        "require('os2')",
        "coroutine.close(coroutine.running())",
    ],
)
async def test_attacks_raise(attack):
    assert await run_lua(f"return (pcall(function() {attack} end))") is False


async def test_metatables_of_handles_stay_hidden():
    result = await run_lua(
        """
        local handles = {process.inbox(), errors.new("x"), funcs.new(), payload.new(1), string, ""}
        for i, handle in ipairs(handles) do
          if getmetatable(handle) ~= nil then return i end
        end
        return "hidden"
        """
    )
    assert result == "hidden"


async def test_error_values_of_python_never_arrive():
    result = await run_lua(
        """
        local found = {}
        local function look(...)
          for i = 1, select("#", ...) do
            local v = select(i, ...)
            found[type(v)] = true
          end
        end
        look(pcall(process.send, {}, {}))
        look(pcall(process.spawn, function() end))
        look(pcall(funcs.call, "app:nothing", coroutine.create(function() end)))
        local kinds = {}
        for kind in pairs(found) do kinds[#kinds + 1] = kind end
        table.sort(kinds)
        return table.concat(kinds, ",")
        """
    )
    assert set(result.split(",")) <= {"boolean", "nil", "string", "userdata"}


async def test_globals_are_not_shared_between_instances():
    entries = [function("app:a", "return function() secret = 1 string_ = 'x' return secret end")]
    result = await run_lua(
        'local a = funcs.call("app:a") return {a, secret == nil, _G.string_ == nil}', entries=entries
    )
    assert result == [1, True, True]


@pytest.mark.parametrize(
    "bomb",
    [
        'string.rep("x", 1e10)',
        '("x"):rep(1 << 40)',
        "local t = setmetatable({}, {__len = function() return 1 << 50 end}) table.concat(t)",
        "local t = setmetatable({}, {__len = function() return 1 << 50 end}) table.unpack(t)",
        "local t = setmetatable({}, {__len = function() return 1 << 50 end}) table.insert(t, 1, 1)",
        "local t = setmetatable({}, {__len = function() return 1 << 50 end}) table.sort(t)",
        "table.move({}, 1, 1 << 50, 2)",
        "local function f() return f() + 1 end f()",
        'error(setmetatable({}, {__tostring = function() error("again") end}))',
        'local s = ("a"):rep(3000) s:find((".-"):rep(12) .. "b")',
    ],
)
async def test_a_bomb_ends_in_an_error_for_its_own_call(bomb):
    entries = [function("app:bomb", f"return function() {bomb} return 'survived' end")]
    entries.append(function("app:neighbour", "return function() return 'fine' end"))
    async with app_of(*entries) as app:
        with pytest.raises(Error):
            await app.call("app:bomb", timeout=20.0)
        assert await app.call("app:neighbour") == "fine"


async def test_pcall_cannot_swallow_termination():
    stubborn = process(
        "app:stubborn",
        """
        local function spin() while true do end end
        return function()
          while true do
            pcall(spin)
            xpcall(spin, function() return spin() end)
            pcall(table.sort, {3, 2, 1}, function() while true do end end)
          end
        end
        """,
    )
    async with app_of(host(workers=1), stubborn, virtual=False) as app:
        pid, end = await app.node.spawn_watched("app:stubborn", "app:processes")
        await app.terminate(pid)
        assert "terminated" in str((await end).error)


@pytest.mark.parametrize(
    "place",
    [
        "while true do end",
        "pcall(function() while true do end end) while true do end",
        "setmetatable({}, {__newindex = function() while true do end end}).x = nil",
        "local _ = setmetatable({}, {__index = function() while true do end end}).x",
        "table.sort({3, 2, 1}, function() while true do end end)",
        '("abc"):gsub(".", function() while true do end end)',
        "local co = coroutine.wrap(function() while true do end end) co()",
        "for _ in (function() while true do end end) do end",
    ],
)
async def test_a_spinner_can_be_terminated_wherever_it_spins(place):
    entry = process("app:spins", f"return function() {place} end")
    polite = process("app:polite", "return function() return 'polite' end")
    async with app_of(host(workers=1), entry, polite, virtual=False) as app:
        pid, end = await app.node.spawn_watched("app:spins", "app:processes")
        _, other = await app.node.spawn_watched("app:polite", "app:processes")
        assert (await other).value == "polite"
        with contextlib.suppress(Error):  # a place that cannot be preempted was killed for stalling its worker already
            await app.terminate(pid)
        assert (await end).error is not None


async def test_a_function_that_spins_does_not_stop_the_event_loop():
    import asyncio

    spins = function("app:spins", "return function() while true do end end")
    quick = function("app:quick", "return function() return 1 end")
    async with app_of(spins, quick, virtual=False) as app:
        task = asyncio.ensure_future(app.call("app:spins"))
        await asyncio.sleep(0)
        assert await app.call("app:quick") == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await app.call("app:quick") == 1


async def test_a_memory_hog_ends_alone():
    hog = process("app:hog", "return function() local t = {} while true do t[#t + 1] = {#t, 'x' .. #t} end end")
    echo = process("app:echo", "return function() return process.inbox():receive():payload():data() end")
    async with app_of(host(workers=1, memory_limit="64M"), hog, echo, virtual=False) as app:
        pid, answer = await app.node.spawn_watched("app:echo", "app:processes")
        _, end = await app.node.spawn_watched("app:hog", "app:processes")
        error = (await end).error
        assert error is not None
        assert "memory" in str(error)
        await app.send(pid, "t", "alive")
        assert (await answer).value == "alive"


async def test_a_cpu_limit_ends_a_computation():
    spins = process("app:spins", "return function() while true do end end")
    async with app_of(host(workers=1, cpu_limit="50ms"), spins, virtual=False) as app:
        _, end = await app.node.spawn_watched("app:spins", "app:processes")
        error = (await end).error
        assert error is not None
        assert error.kind == "Timeout"


async def test_isolated_processes_have_a_memory_limit_of_their_own():
    hog = process("app:hog", "return function() local t = {} while true do t[#t + 1] = {#t, 'x' .. #t} end end")
    echo = process(
        "app:echo",
        "return function(to) process.send(to, 'pid', process.pid()) return process.inbox():receive():payload():data() end",
    )
    main = function(
        "app:main",
        """
        return function()
          local pids, events = process.listen("pid"), process.events()
          local echo = process.spawn_monitored("app:echo", "app:cell", process.pid())
          assert(pids:receive() == echo)
          local hog = process.spawn_monitored("app:hog", "app:cell")
          local first = events:receive()
          process.send(echo, "t", "alive")
          local second = events:receive()
          local value, err = process.exec("app:hog", "app:cell")
          return {first.from == hog, first.result.error:message(), second.result.value, err:message()}
        end
        """,
    )
    async with app_of(host("app:cell", isolation="vm", memory_limit="32M"), hog, echo, main, virtual=False) as app:
        from_hog, message, value, again = await app.call("app:main")
    assert (from_hog, value) == (True, "alive")
    assert "memory" in message
    assert "memory" in again
