"""How processes end and who hears of it: monitors, links, cancel, terminate, upgrade (reference, section 4)."""

from __future__ import annotations

import asyncio

import pytest

from wippy.errors import Error
from wippy.registry.change import Op, Operation
from wippy.testing import app_of, function, host, library, process, run_lua

FOREVER = process("app:forever", "return function() process.inbox():receive() end")
FAILS = process("app:fails", 'return function() error("boom") end')
RETURNS = process("app:returns", "return function(value) return value end")
REFUSES = process(
    "app:refuses", 'return function() return nil, errors.new({message = "no", kind = errors.CONFLICT}) end'
)
POLITE = process(
    "app:polite",
    """
    return function()
      local event = process.events():receive()
      return {event.kind, event.type, event.reason, event.from}
    end
    """,
)


async def lua(source, *entries, **options):
    return await run_lua(source, entries=[host(), *entries], **options)


async def test_monitor_tells_the_value():
    result = await lua(
        """
        local pid = process.spawn_monitored("app:returns", "app:processes", {1, 2})
        local event = process.events():receive()
        return {event.kind == process.event.EXIT, event.type == event.kind, event.from == pid, event.result.value,
          event.result.error == nil, math.type(event.at)}
        """,
        RETURNS,
    )
    assert result == [True, True, True, [1, 2], True, "integer"]


@pytest.mark.parametrize(("entry", "kind", "message"), [(FAILS, "Internal", "boom"), (REFUSES, "Conflict", "no")])
async def test_monitor_tells_the_error(entry, kind, message):
    result = await lua(
        f"""
        process.spawn_monitored("{entry.id}", "app:processes")
        local err = process.events():receive().result.error
        return {{err:kind(), err:message()}}
        """,
        entry,
    )
    assert result[0] == kind
    assert message in result[1]


async def test_unmonitor_tells_nothing():
    result = await lua(
        """
        local time = require("time")
        local pid = process.spawn_monitored("app:forever", "app:processes")
        assert(process.unmonitor(pid))
        process.terminate(pid)
        local r = channel.select { process.events():case_receive(), time.after("1s"):case_receive() }
        return r.channel ~= process.events()
        """,
        FOREVER,
        modules=["time"],
    )
    assert result is True


async def test_a_failing_child_takes_its_linked_parent_along():
    parent = process(
        "app:parent",
        """
        return function()
          process.spawn_linked("app:fails", "app:processes")
          process.inbox():receive()
        end
        """,
    )
    result = await lua(
        """
        process.spawn_monitored("app:parent", "app:processes")
        return process.events():receive().result.error:message()
        """,
        parent,
        FAILS,
    )
    assert result == "linked process failed"


async def test_trap_links_turns_the_failure_into_an_event():
    result = await lua(
        """
        assert(process.get_options().trap_links == false)
        assert(process.set_options({trap_links = true}))
        local pid = process.spawn_linked("app:fails", "app:processes")
        local event = process.events():receive()
        return {event.kind == process.event.LINK_DOWN, event.from == pid, event.result.error:kind()}
        """,
        FAILS,
    )
    assert result == [True, True, "Internal"]


async def test_a_normal_end_says_nothing_to_links():
    result = await lua(
        """
        local time = require("time")
        process.set_options({trap_links = true})
        process.spawn_linked_monitored("app:returns", "app:processes", 1)
        local first = process.events():receive()
        local r = channel.select { process.events():case_receive(), time.after("1s"):case_receive() }
        return {first.kind == process.event.EXIT, r.channel ~= process.events()}
        """,
        RETURNS,
        modules=["time"],
    )
    assert result == [True, True]


async def test_unlink_breaks_the_bond():
    result = await lua(
        """
        local pid = process.spawn("app:forever", "app:processes")
        assert(process.link(pid))
        assert(process.unlink(pid))
        process.terminate(pid)
        return "alive"
        """,
        FOREVER,
    )
    assert result == "alive"


async def test_cancel_only_asks():
    result = await lua(
        """
        local pid = process.spawn_monitored("app:polite", "app:processes")
        assert(process.cancel(pid, "closing"))
        local value = process.events():receive().result.value
        return {value[1] == process.event.CANCEL, value[2] == value[1], value[3], value[4] == process.pid()}
        """,
        POLITE,
    )
    assert result == [True, True, "closing", True]


async def test_terminate_ends_what_ignores_everything():
    spinner = process("app:spins", "return function() while true do pcall(function() while true do end end) end end")
    async with app_of(host(workers=1), spinner, virtual=False) as app:
        pid = await app.spawn("app:spins", "app:processes")
        end = await app.node.watch(pid)
        await app.terminate(pid)
        assert str((await end).error) == "process terminated"


async def test_exec_waits_for_the_result():
    assert await lua('return process.exec("app:returns", "app:processes", 5)', RETURNS) == 5
    with pytest.raises(Error) as caught:
        await lua('return process.exec("app:refuses", "app:processes")', REFUSES)
    assert caught.value.kind == "Conflict"


async def test_calling_a_process_runs_it_on_its_default_host():
    entry = process("app:job", "return function(a, b) return a * b end")
    entry.meta["default_host"] = "processes"
    assert await lua('return funcs.call("app:job", 6, 7)', entry) == 42
    with pytest.raises(Error, match="default_host"):
        await lua('return funcs.call("app:returns", 1)', RETURNS)


async def test_upgrade_keeps_pid_links_and_unread_messages():
    second = process(
        "app:second",
        """
        return function(state)
          local message = process.inbox():receive()
          return {state, message:topic(), process.pid(), process.id()}
        end
        """,
    )
    first = process(
        "app:first",
        """
        return function()
          process.inbox():receive()
          process.upgrade("app:second", {count = 1})
          error("upgrade must not return")
        end
        """,
    )
    result = await lua(
        """
        local pid = process.spawn_monitored("app:first", "app:processes")
        process.send(pid, "go")
        process.send(pid, "kept")
        local event = process.events():receive()
        local value = event.result.value
        return {value[1].count, value[2], value[3] == pid, value[4]}
        """,
        first,
        second,
    )
    assert result == [1, "kept", True, "app:second"]


async def test_an_upgradable_process_hears_of_new_code():
    def actor(version):
        return process(
            "app:actor",
            f"""
            local words = require("words")
            return function(state)
              process.registry.register("actor")
              process.set_options({{upgradable = true}})
              if words.version() == 2 then return state end
              local event = process.events():receive()
              assert(event.kind == process.event.OUTDATED)
              process.upgrade(nil, event.sources)
            end -- {version}
            """,
            imports={"words": "app:words"},
        )

    def words(version):
        return library("app:words", f"return {{version = function() return {version} end}}")

    async with app_of(host(), words(1), actor(1)) as app:
        _pid, end = await app.node.spawn_watched("app:actor", "app:processes")
        before = app.registry.get("app:words")
        while app.node.names.get("actor") is None:
            await asyncio.sleep(0)
        await app.registry.apply([Operation(Op.UPDATE, words(2), before)])
        result = await end
    assert result.error is None
    assert result.value == ["app:actor", "app:words"]


async def test_spawner_carries_context_name_and_first_messages():
    child = process(
        "app:child",
        """
        return function()
          local message = process.inbox():receive()
          return {require("ctx").get("tenant"), message:topic(), message:payload():data(),
            process.registry.lookup("kid") == process.pid()}
        end
        """,
        ["ctx"],
    )
    result = await lua(
        """
        local spawner = process.with_context({tenant = "acme"}):with_name("kid"):with_message("hello", 1)
        spawner:spawn_monitored("app:child", "app:processes")
        return process.events():receive().result.value
        """,
        child,
    )
    assert result == ["acme", "hello", 1, True]


async def test_a_process_inherits_context():
    child = process("app:child", 'return function() return require("ctx").get("user") end', ["ctx"])
    result = await lua('return process.exec("app:child", "app:processes")', child, context={"user": "ann"})
    assert result == "ann"


async def test_all_blocked_is_an_error():
    stuck = process("app:stuck", "return function() channel.new():receive() end")
    result = await lua(
        """
        process.spawn_monitored("app:stuck", "app:processes")
        return process.events():receive().result.error:message()
        """,
        stuck,
    )
    assert result == "all coroutines blocked with no pending operations"


async def test_spawned_coroutines_end_with_the_main_one():
    result = await lua(
        """
        local time = require("time")
        process.spawn_monitored("app:leaves", "app:processes", process.pid())
        process.events():receive()
        local r = channel.select { process.inbox():case_receive(), time.after("10s"):case_receive() }
        return r.channel ~= process.inbox()
        """,
        process(
            "app:leaves",
            """
            local time = require("time")
            return function(parent)
              coroutine.spawn(function() time.sleep("1s") process.send(parent, "late") end)
            end
            """,
            ["time"],
        ),
        modules=["time"],
    )
    assert result is True


async def test_a_failing_coroutine_fails_its_process():
    result = await lua(
        """
        process.spawn_monitored("app:p", "app:processes")
        return process.events():receive().result.error:message()
        """,
        process(
            "app:p", 'return function() coroutine.spawn(function() error("inner") end) process.inbox():receive() end'
        ),
    )
    assert "inner" in result


async def test_max_processes_is_an_error_that_names_the_host():
    async with app_of(
        host(max_processes=2),
        FOREVER,
        function(
            "app:main",
            """
            return function()
              local pids = {}
              for i = 1, 3 do
                local pid, err = process.spawn("app:forever", "app:processes")
                if err then
                  process.terminate(pids[1])
                  local again = process.spawn("app:forever", "app:processes")
                  return {i, err:kind(), err:message(), again ~= nil}
                end
                pids[i] = pid
              end
            end
            """,
        ),
    ) as app:
        index, kind, message, again = await app.call("app:main")
    assert (index, kind, again) == (3, "RateLimited", True)
    assert "app:processes" in message


async def test_ids_and_options():
    result = await lua(
        """
        local ok, err = process.set_options({unknown = true})
        return {process.id(), process.pid():match("^{functions|0x%x+}$") ~= nil, ok, err:kind()}
        """
    )
    assert result == ["test:main", True, False, "Invalid"]
