"""The Lua module events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wippy.errors import INVALID, NOT_FOUND, PERMISSION_DENIED, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.testing import app_of, function, host, process, run_lua
from wippy_plugin_events import BUS, Event, EventBus


async def lua(source: str, **options: Any) -> Any:
    return await run_lua('local events = require("events")\n' + source, modules=["events"], **options)


async def test_an_event_arrives_with_its_fields():
    assert await lua("""
        local sub = assert(events.subscribe("orders.*"))
        assert(events.send("orders", "order.created", "/orders/1", {order_id = "1", lines = {1, 2}}) == true)
        local event, ok = sub:channel():receive()
        return {event, ok, type(event), sub:channel() == sub:channel(), type(sub)}
        """) == [
        {"system": "orders", "kind": "order.created", "path": "/orders/1", "data": {"order_id": "1", "lines": [1, 2]}},
        True,
        "table",
        True,
        "userdata",
    ]


async def test_without_data_there_is_no_such_field():
    assert (
        await lua("""
        local sub = events.subscribe("system")
        events.send("system", "heartbeat", "/health")
        local fields = {}
        for name in pairs((sub:channel():receive())) do fields[#fields + 1] = name end
        table.sort(fields)
        return table.concat(fields, " ")
        """)
        == "kind path system"
    )


async def test_kinds_are_filtered_and_order_is_kept():
    assert await lua("""
        local users = events.subscribe("users", "user.(created|deleted)")
        local any, empty = events.subscribe("users", "*"), events.subscribe("users", "")
        for i, kind in ipairs({"user.created", "user.changed", "user.deleted", "other"}) do
          events.send("users", kind, "/" .. i)
        end
        events.send("others", "user.created", "/5")
        local function drain(sub)
          sub:close()
          local paths = ""
          while true do
            local event, ok = sub:channel():receive()
            if not ok then return paths end
            paths = paths .. event.path
          end
        end
        return {drain(users), drain(any), drain(empty)}
        """) == ["/1/3", "/1/2/3/4", "/1/2/3/4"]


async def test_close_is_final_and_may_be_said_twice():
    assert await lua("""
        local sub = events.subscribe("a")
        events.send("a", "kept", "/")
        local first, second = sub:close(), sub:close()
        events.send("a", "missed", "/")
        local event = sub:channel():receive()
        local gone, ok = sub:channel():receive()
        return {first, second, event.kind, gone == nil, ok}
        """) == [True, True, "kept", True, False]


@pytest.mark.parametrize(
    "call",
    [
        'events.subscribe("")',
        "events.subscribe()",
        'events.subscribe("a", 1)',
        'events.subscribe("(a")',
        'events.send("", "k", "/")',
        'events.send("s", "", "/")',
        'events.send("s", "k", "")',
        'events.send("s", "k")',
        'events.send("s", "k", "/", print)',
        'events.send("s", "k", "/", loop)',
    ],
)
async def test_bad_arguments(call: str):
    with pytest.raises(Error) as caught:
        await lua(f"local loop = {{}} loop.loop = loop\nreturn {call}")
    assert caught.value.kind == INVALID


async def test_methods_check_their_object():
    with pytest.raises(Error, match="Subscription expected"):
        await lua('return events.subscribe("a").channel({})')


async def test_permissions():
    deny = """
        local kernel = ...
        function kernel.permit(action, resource)
          return nil, kernel.new_error("denied: " .. action .. " " .. resource, "PermissionDenied", false)
        end
        """
    main = function(
        "test:main",
        """return function()
          local events = require("events")
          local _, subscribe = events.subscribe("a")
          local _, send = events.send("b", "k", "/")
          return {subscribe:message(), send:message(), send:kind()}
        end""",
        ["events"],
    )
    async with app_of(main) as app:
        app.node.extend("deny", deny)
        assert await app.call("test:main") == ["denied: events.subscribe a", "denied: events.send b", PERMISSION_DENIED]


LISTENER = process(
    "app:listener",
    """
    local events = require("events")
    return function(count, reply)
      local sub = assert(events.subscribe("numbers"))
      process.send(reply, "ready", process.pid())
      local seen = {}
      for i = 1, count do seen[i] = sub:channel():receive().data end
      return seen
    end
    """,
    ["events"],
)
SENDER = function(
    "app:send",
    'return function(count) for i = 1, count do assert(require("events").send("numbers", "n", "/", i)) end end',
    ["events"],
)


@pytest.mark.parametrize("virtual", [True, False])
async def test_every_worker_hears_in_the_order_of_the_sender(virtual: bool):
    main = function(
        "app:main",
        """return function()
          local inbox = process.inbox()
          for i = 1, 4 do process.spawn_monitored("app:listener", "app:processes", 20, process.pid()) end
          for i = 1, 4 do inbox:receive() end
          funcs.call("app:send", 20)
          local right = 0
          for i = 1, 4 do
            local seen = process.events():receive().result.value
            for n = 1, 20 do right = right + (seen[n] == n and 1 or 0) end
          end
          return right
        end""",
    )
    async with app_of(main, LISTENER, SENDER, host(workers=2), virtual=virtual) as app:
        assert await app.call("app:main") == 80


async def test_a_process_that_ends_drops_its_subscriptions():
    async with app_of(LISTENER, SENDER, host()) as app:
        bus = app.resources.get(BUS, EventBus)
        replies: list[str] = []
        own = app.node.open_mailbox("test", lambda source, topic, values: replies.append(topic))
        pid = await app.spawn("app:listener", "app:processes", 2, own)
        end = await app.node.watch(pid)
        await app.call("app:send", 1)
        assert (replies, len(bus)) == (["ready"], 1)
        await app.call("app:send", 1)
        assert (await end).value == [1, 1]
        await app.call("app:send", 1)  # one round through the loop: the drop came before its answer
        assert len(bus) == 0


# The registry's changes ---------------------------------------------------------------------------------------------


async def test_committed_changes_are_published():
    async with app_of(function("app:f", "return function() end"), host()) as app:
        heard: list[Event] = []
        app.resources.get(BUS, EventBus).subscribe(heard.append, "registry")
        one = function("app:g", "return function() return 1 end")
        two = function("app:g", "return function() return 2 end")
        await app.registry.apply([Operation(Op.CREATE, one)])
        await app.registry.apply([Operation(Op.UPDATE, two, one)])
        await app.registry.apply([Operation(Op.DELETE, two)])
        broken = function("app:h", "return function(")
        with pytest.raises(Error):
            await app.registry.apply([Operation(Op.CREATE, Entry("app:x", "library.lua", data={"source": "return 1"})),
                                      Operation(Op.CREATE, broken)])  # fmt: skip
        await app.call("app:f")
        assert [(event.kind, event.path) for event in heard] == [
            ("entry.create", "app:g"),
            ("registry.commit", "registry"),
            ("entry.update", "app:g"),
            ("registry.commit", "registry"),
            ("entry.delete", "app:g"),
            ("registry.commit", "registry"),
        ]
        assert heard[0].data == {"id": "app:g", "kind": "function.lua", "meta": {}}


async def test_lua_hears_of_the_registry_and_finds_it_changed():
    main = function(
        "app:main",
        """return function(ready)
          local sub = require("events").subscribe("registry", "entry.*")
          process.send(ready, "ready")
          local event = sub:channel():receive()
          return {event.kind, event.path, event.data.kind, funcs.call("app:new")}
        end""",
        ["events"],
    )
    async with app_of(main) as app:
        new = Operation(Op.CREATE, function("app:new", "return function() return 7 end"))
        changes: list[asyncio.Future[Any]] = []
        own = app.node.open_mailbox(
            "test", lambda *message: changes.append(asyncio.ensure_future(app.registry.apply([new])))
        )
        assert await app.call("app:main", own) == ["entry.create", "app:new", "function.lua", 7]
        assert (await changes[0]).id == 2


async def test_the_module_is_named_when_it_is_not_listed():
    with pytest.raises(Error, match="add it to the entry's modules") as caught:
        await run_lua('return require("events")')
    assert caught.value.kind != NOT_FOUND
