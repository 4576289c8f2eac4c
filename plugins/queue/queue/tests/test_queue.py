"""The Lua module queue and the kind queue.queue (manual pages lua/storage/queue and system/queue)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wippy.errors import INVALID, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.testing import app_of, function
from wippy_plugin_queue import MSGPACK, Queue
from wippy_plugin_queue.conformance import Collector

DRIVER = Entry("app:driver", "queue.driver.memory")


def queue(name: str = "app:tasks", **data: Any) -> Entry:
    return Entry(name, "queue.queue", data={"driver": "driver", **data})


async def run(body: str, *entries: Entry, chunk: str = "") -> Any:
    source = f"""
        local queue = require("queue")
        return function(...)
          local function kind(_, err) return err and err:kind() or "none" end
          {body}
        end"""
    async with app_of(function("app:main", source, ["queue"]), DRIVER, queue(), *entries) as app:
        if chunk:
            app.node.extend("test", chunk)
        return await app.call("app:main")


async def published(app: Any, queue_id: str = "app:tasks") -> Any:
    collector = Collector()
    await app.resources.get(queue_id, Queue).subscribe(collector, prefetch=10, auto_ack=False, driver_options={})
    (delivery,) = await collector.take(1)
    return delivery.message


async def test_publish_gives_true_and_info_counts() -> None:
    assert await run("""
        local ok, err = queue.publish("app:tasks", {n = 1})
        queue.publish("app:tasks", "text") queue.publish("app:tasks", false) queue.publish("app:tasks", 0)
        return {ok, err == nil, queue.info("app:tasks")}
    """) == [True, True, {"message_count": 4, "ready": 4, "consumer_count": 0}]


@pytest.mark.parametrize(
    "arguments",
    ['"", {a = 1}', 'nil, {a = 1}', '"app:tasks"', '"app:tasks", nil', '"app:tasks", {}', '"app:tasks", {a = 1}, 7',
     '"app:tasks", {a = 1}, {"x"}'],
)  # fmt: skip
async def test_a_bad_publish_is_invalid(arguments: str) -> None:
    assert await run(f"return {{kind(queue.publish({arguments})), queue.info('app:tasks').ready}}") == [INVALID, 0]


async def test_a_message_inside_itself_is_invalid() -> None:
    assert await run('local t = {} t.t = t return kind(queue.publish("app:tasks", t))') == INVALID


async def test_an_unknown_queue_is_not_found_and_something_else_is_invalid() -> None:
    assert await run("""
        return {kind(queue.publish("app:nothing", 1)), kind(queue.info("app:nothing")), kind(queue.publish("app:driver", 1)),
                kind(queue.info(""))}
    """) == ["NotFound", "NotFound", "Invalid", "Invalid"]


async def test_binary_data_needs_messagepack() -> None:
    assert await run(
        """
        local _, err = queue.publish("app:tasks", {list = {{data = "\\255"}}})
        return {err:kind(), err:message():find("application/msgpack", 1, true) ~= nil,
                (queue.publish("app:binary", {list = {{data = "\\255"}}}))}
        """,
        queue("app:binary", codec=MSGPACK),
    ) == [INVALID, True, True]


async def test_publishing_asks_for_both_permissions() -> None:
    deny = """
        local kernel = ...
        local asked = {}
        kernel.permit = function(action, resource)
          asked[#asked + 1] = action .. "(" .. resource .. ")"
          if action == "queue.publish.queue" then
            return nil, kernel.new_error(table.concat(asked, " "), "PermissionDenied", false)
          end
          return true
        end"""
    assert await run(
        """
        local _, err = queue.publish("app:tasks", 1)
        return {err:kind(), err:message(), queue.info("app:tasks").ready}
        """,
        chunk=deny,
    ) == ["PermissionDenied", "queue.publish() queue.publish.queue(app:tasks)", 0]


async def test_there_is_no_message_outside_a_consumer() -> None:
    assert await run("local msg, err = queue.message() return {msg == nil, err:kind()}") == [True, INVALID]


async def test_a_payload_is_published_as_its_data() -> None:
    source = (
        'local queue = require("queue") return function() return queue.publish("app:tasks", payload.new({n = 1})) end'
    )
    async with app_of(function("app:main", source, ["queue"]), DRIVER, queue()) as app:
        await app.call("app:main")
        assert (await published(app)).body == b'{"n":1}'


async def test_python_publishes_too() -> None:
    async with app_of(DRIVER, queue()) as app:
        tasks = app.resources.get("app:tasks", Queue)
        message_id = await tasks.publish({"n": [1, None]}, {"h": 1})
        message = await published(app)
        assert (message.id, message.body, message.headers) == (message_id, b'{"n":[1,null]}', {"h": 1})
        with pytest.raises(Error):
            await tasks.publish(None)


@pytest.mark.parametrize(
    ("data", "field"),
    [({"codec": "yaml/plain"}, "codec"), ({"dead_letter": {"queue": "tasks"}}, "dead_letter"),
     ({"dead_letter": {"queue": "other", "max_attempts": 0}}, "max_attempts"),
     ({"driver_options": {"memory": {"max_length": -1}}}, "max_length"), ({"driver": "nothing"}, "nothing"),
     ({"driver": "other"}, "other")],
)  # fmt: skip
async def test_what_a_queue_cannot_be_stops_the_boot(data: dict[str, Any], field: str) -> None:
    with pytest.raises(Error, match=f"(?s)app:(tasks|other).*{field}|{field}.*not a queue driver") as caught:
        async with app_of(DRIVER, queue("app:other"), queue(**data)):
            pass
    assert caught.value.kind == INVALID


async def test_a_changed_queue_keeps_its_messages() -> None:
    async with app_of(DRIVER, queue()) as app:
        tasks = app.resources.get("app:tasks", Queue)
        await tasks.publish(1)
        await app.registry.apply([Operation(Op.UPDATE, queue(codec=MSGPACK), queue())])
        assert app.resources.get("app:tasks", Queue) is tasks
        await tasks.publish("two")
        collector = Collector()
        await tasks.subscribe(collector, prefetch=10, auto_ack=False, driver_options={})
        assert [d.message.body for d in await collector.take(2)] == [b"1", b"\xa3two"]


async def test_a_change_that_is_refused_changes_nothing() -> None:
    async with app_of(DRIVER, queue()) as app:
        bad = queue(driver_options={"memory": {"max_length": -1}})
        with pytest.raises(Error, match="max_length"):
            await app.registry.apply([Operation(Op.UPDATE, bad, queue())])
        await app.resources.get("app:tasks", Queue).publish(1)


async def test_consumers_move_with_a_queue_that_gets_another_name() -> None:
    handled: asyncio.Queue[Any] = asyncio.Queue()
    handler = function("app:handler", "return function(body) process.send(body.to, 'done', body.n) end")
    consumer = Entry(
        "app:consumer", "queue.consumer", data={"queue": "tasks", "func": "handler", "lifecycle": {"auto_start": True}}
    )
    async with app_of(DRIVER, queue(), handler, consumer) as app:
        pid = app.node.open_mailbox("tests", lambda _source, _topic, values: handled.put_nowait(values[0]))
        tasks = app.resources.get("app:tasks", Queue)
        await tasks.publish({"to": pid, "n": 1})
        assert await handled.get() == 1
        await app.registry.apply([Operation(Op.UPDATE, queue(queue_name="renamed"), queue())])
        await tasks.publish({"to": pid, "n": 2})
        assert await handled.get() == 2
