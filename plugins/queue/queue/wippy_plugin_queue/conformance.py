"""The conformance kit for queue drivers.

A driver's tests subclass `QueueConformance` and say how to make their driver; pytest needs `asyncio_mode = "auto"`:

    class TestMine(QueueConformance):
        name = "mine"
        virtual = False  # a broker outside this process does not know our clock

        def entries(self):
            return [Entry("app:driver", "queue.driver.mine", data={..., "lifecycle": {"auto_start": True}})]
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from wippy.app import App
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.scheduler.clock import sleep
from wippy.testing import app_of, function
from wippy_plugin_queue.codec import JSON, MSGPACK
from wippy_plugin_queue.protocol import BrokerQueue, Delivery, Message, QueueDriver, QueueSpec

__all__ = ["Collector", "QueueConformance", "message"]

DRIVER = "app:driver"

HANDLER = """
local queue = require("queue")
return { main = function(body)
  local msg = queue.message()
  process.send(body.to, "handled", body, msg:id(), msg:headers())
  return not body.fail
end }
"""

PUBLISHER = """
local queue = require("queue")
return { main = function(id, body, headers) return queue.publish(id, body, headers) end }
"""


class Collector:
    """A receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self.problems: list[Exception] = []

    def receive(self, delivery: Delivery) -> None:
        self.deliveries.put_nowait(delivery)

    def failed(self, problem: Exception) -> None:
        self.problems.append(problem)

    async def take(self, count: int) -> list[Delivery]:
        """Wait for some deliveries."""
        return [await self.deliveries.get() for _ in range(count)]

    def nothing(self) -> bool:
        return self.deliveries.empty()


def message(text: str, **headers: Any) -> Message:
    """Return a message whose body and id are made from a text."""
    return Message(f"id-{text}", text.encode(), headers, JSON)


class QueueConformance:
    """What every queue driver does: through its protocol, and through Lua with a consumer."""

    #: Whether the driver keeps time by the App's clock; then no time passes in the tests.
    virtual: ClassVar[bool] = True
    #: Seconds after which a delivery that has not come will not come.
    quiet: ClassVar[float] = 0.5
    #: The driver's options for a queue of two messages, or None where there is no bound that blocks publishers.
    two_messages: ClassVar[dict[str, Any] | None] = None
    #: The driver's key in `driver_options`.
    name: ClassVar[str]
    #: Whether messages come in the order in which they were published, to a single receiver.
    ordered: ClassVar[bool] = True

    def entries(self) -> Iterable[Entry]:
        """Return the entries of an App whose driver has the id `app:driver` and is started."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Return the driver's options for the queues of the tests."""
        return {}

    @asynccontextmanager
    async def queue(self, **options: Any) -> AsyncIterator[tuple[App, BrokerQueue]]:
        """Run an App with an empty queue."""
        async with app_of(*self.entries(), virtual=self.virtual) as app:
            driver = app.resources.get(DRIVER, QueueDriver)  # type: ignore[type-abstract]
            queue = driver.open(QueueSpec("app:tests", _name(), {**self.options(), **options}))
            yield app, queue
            await queue.close()

    async def subscribe(self, queue: BrokerQueue, prefetch: int = 10) -> tuple[Collector, Any]:
        collector = Collector()
        return collector, await queue.subscribe(collector, prefetch=prefetch, auto_ack=False, options={})

    # The protocol ---------------------------------------------------------------------------------------------------

    async def test_the_driver_has_a_name(self) -> None:
        async with app_of(*self.entries(), virtual=self.virtual) as app:
            assert app.resources.get(DRIVER, QueueDriver).name == self.name  # type: ignore[type-abstract]

    async def test_a_message_arrives_as_it_was(self) -> None:
        async with self.queue() as (_, queue):
            collector, _ = await self.subscribe(queue)
            bodies = [b"x", bytes(range(256)), b"y" * 100_000]
            for number, body in enumerate(bodies):
                headers = {"text": "é", "number": number, "yes": True}
                await queue.publish(Message(f"id-{number}", body, headers, MSGPACK))
            found = {d.message.id: d for d in await collector.take(len(bodies))}
            for number, body in enumerate(bodies):
                delivery = found[f"id-{number}"]
                assert delivery.message.body == body
                assert delivery.message.content_type == MSGPACK
                assert delivery.message.headers == {"text": "é", "number": number, "yes": True}
                assert delivery.attempt == 1
                await delivery.ack()

    async def test_what_was_published_waits_for_a_receiver(self) -> None:
        async with self.queue() as (_, queue):
            for text in "abc":
                await queue.publish(message(text))
            collector, _ = await self.subscribe(queue)
            bodies = [delivery.message.body for delivery in await collector.take(3)]
            assert (bodies if self.ordered else sorted(bodies)) == [b"a", b"b", b"c"]

    async def test_no_more_than_prefetch_are_under_way(self) -> None:
        async with self.queue() as (app, queue):
            collector, _ = await self.subscribe(queue, prefetch=2)
            for text in "abcd":
                await queue.publish(message(text))
            first, second = await collector.take(2)
            await sleep(app.clock, self.quiet)
            assert collector.nothing()
            await first.ack()
            (third,) = await collector.take(1)
            await second.ack()
            (fourth,) = await collector.take(1)
            found = [d.message.body for d in (first, second, third, fourth)]
            assert sorted(found) == [b"a", b"b", b"c", b"d"]
            await third.ack()
            await fourth.ack()

    async def test_an_acknowledged_message_is_gone(self) -> None:
        async with self.queue() as (app, queue):
            collector, subscription = await self.subscribe(queue)
            await queue.publish(message("a"))
            (delivery,) = await collector.take(1)
            await delivery.ack()
            await subscription.cancel()
            other, _ = await self.subscribe(queue)
            await sleep(app.clock, self.quiet)
            assert other.nothing()

    async def test_a_failed_message_comes_again_later_and_counts(self) -> None:
        async with self.queue() as (app, queue):
            collector, _ = await self.subscribe(queue)
            await queue.publish(message("a", kept="yes"))
            for attempt in (1, 2, 3):
                (delivery,) = await collector.take(1)
                assert delivery.attempt == attempt
                assert delivery.message.id == "id-a"
                assert delivery.message.headers["kept"] == "yes"
                if attempt == 3:
                    await delivery.ack()
                else:
                    failed_at = app.clock.now()
                    await delivery.nack(0.2)
                    assert collector.nothing()
                    again = await collector.deliveries.get()
                    assert app.clock.now() - failed_at >= 0.2 * 0.9
                    collector.deliveries.put_nowait(again)

    async def test_a_failing_message_does_not_hold_up_the_others(self) -> None:
        async with self.queue() as (_, queue):
            collector, _ = await self.subscribe(queue, prefetch=1)
            await queue.publish(message("bad"))
            await queue.publish(message("good"))
            if self.ordered:
                (bad,) = await collector.take(1)
                await bad.nack(1)
                (good,) = await collector.take(1)
                assert good.message.body == b"good"
                await good.ack()
                (bad,) = await collector.take(1)
                assert (bad.message.body, bad.attempt) == (b"bad", 2)
                await bad.ack()

    async def test_a_released_message_comes_to_another_receiver_uncounted(self) -> None:
        async with self.queue() as (_, queue):
            first, subscription = await self.subscribe(queue)
            await queue.publish(message("a"))
            (delivery,) = await first.take(1)
            await subscription.cancel()
            second, _ = await self.subscribe(queue)
            await delivery.release()
            (again,) = await second.take(1)
            assert (again.message.body, again.attempt) == (b"a", 1)
            assert first.nothing()
            await again.ack()

    async def test_a_cancelled_subscription_gets_nothing_more_but_may_finish(self) -> None:
        async with self.queue() as (app, queue):
            collector, subscription = await self.subscribe(queue, prefetch=1)
            await queue.publish(message("a"))
            (delivery,) = await collector.take(1)
            await subscription.cancel()
            await queue.publish(message("b"))
            await delivery.ack()
            await sleep(app.clock, self.quiet)
            assert collector.nothing()
            other, _ = await self.subscribe(queue)
            (rest,) = await other.take(1)
            assert rest.message.body == b"b"
            await rest.ack()

    async def test_receivers_share_the_work(self) -> None:
        async with self.queue() as (_, queue):
            one, _ = await self.subscribe(queue, prefetch=2)
            two, _ = await self.subscribe(queue, prefetch=2)
            for text in "abcd":
                await queue.publish(message(text))
            deliveries = await one.take(2) + await two.take(2)
            assert {delivery.message.body for delivery in deliveries} == {b"a", b"b", b"c", b"d"}
            for delivery in deliveries:
                await delivery.ack()

    async def test_the_same_name_is_the_same_queue(self) -> None:
        async with app_of(*self.entries(), virtual=self.virtual) as app:
            driver = app.resources.get(DRIVER, QueueDriver)  # type: ignore[type-abstract]
            name = _name()
            one = driver.open(QueueSpec("app:one", name, self.options()))
            two = driver.open(QueueSpec("app:two", name, self.options()))
            collector, _ = await self.subscribe(two)
            await one.publish(message("a"))
            (delivery,) = await collector.take(1)
            await delivery.ack()

    async def test_info_is_numbers(self) -> None:
        async with self.queue() as (_, queue):
            await queue.publish(message("a"))
            info = await queue.info()
            assert all(isinstance(value, int) and value >= 0 for value in info.values())
            assert set(info) <= {"message_count", "ready", "consumer_count"}

    async def test_a_full_queue_blocks_publishers_until_there_is_room(self) -> None:
        if self.two_messages is None:
            pytest.skip("the driver's queues have no bound that blocks")
        async with self.queue(**self.two_messages) as (app, queue):
            await queue.publish(message("a"))
            await queue.publish(message("b"))
            gone = asyncio.create_task(queue.publish(message("gone")))
            waiting = asyncio.create_task(queue.publish(message("c")))
            await sleep(app.clock, self.quiet)
            assert not gone.done()
            assert not waiting.done()
            gone.cancel()
            collector, _ = await self.subscribe(queue)
            await waiting
            assert [delivery.message.body for delivery in await collector.take(3)] == [b"a", b"b", b"c"]
            await sleep(app.clock, self.quiet)
            assert collector.nothing()

    # Lua ------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def application(self, **data: Any) -> AsyncIterator[tuple[App, asyncio.Queue[Any], str]]:
        """Run an App with a queue, a dead letter queue and a consumer.

        Gives the App, what the handler sees ([body, id, headers]) and the pid that goes into each body as `to`.
        """
        bag = {self.name: self.options()}
        queues = [
            Entry("app:tasks", "queue.queue", data={"driver": DRIVER, "queue_name": _name(), "driver_options": bag,
                  "dead_letter": {"queue": "app:dead", "max_attempts": 2}, **data}),
            Entry("app:dead", "queue.queue", data={"driver": DRIVER, "queue_name": _name(), "driver_options": bag, **data}),
        ]  # fmt: skip
        code = [
            function("app:handler", HANDLER, ["queue"]),
            function("app:publish", PUBLISHER, ["queue"]),
            Entry("app:consumer", "queue.consumer", data={"queue": "app:tasks", "func": "app:handler",
                  "lifecycle": {"auto_start": True}}),
        ]  # fmt: skip
        async with app_of(*self.entries(), *queues, *code, virtual=self.virtual) as app:
            seen: asyncio.Queue[Any] = asyncio.Queue()
            pid = app.node.open_mailbox("tests", lambda _source, _topic, values: seen.put_nowait(values))
            yield app, seen, pid

    @pytest.mark.parametrize("codec", [JSON, MSGPACK])
    async def test_lua_publishes_and_a_handler_gets_it(self, codec: str) -> None:
        async with self.application(codec=codec) as (app, seen, pid):
            body = {"to": pid, "text": "é", "list": [1, 2.5, "x"], "map": {"a": {"b": True}}, "none": []}
            assert await app.call("app:publish", "app:tasks", body, {"priority": "high", "n": 7}) is True
            got, message_id, headers = await seen.get()
            assert got == body
            assert message_id
            assert headers == {"priority": "high", "n": 7}

    async def test_lua_a_message_that_fails_too_often_is_a_dead_letter(self) -> None:
        async with self.application() as (app, seen, pid):
            await app.call("app:publish", "app:tasks", {"to": pid, "fail": True}, {"trace": "t"})
            first, second = await seen.get(), await seen.get()
            assert first[1] == second[1]
            dead = Entry("app:undertaker", "queue.consumer", data={"queue": "app:dead", "func": "app:handler",
                         "lifecycle": {"auto_start": True}})  # fmt: skip
            await app.registry.apply([Operation(Op.CREATE, dead)])
            _, message_id, headers = await seen.get()
            assert message_id == first[1]
            assert headers["trace"] == "t"
            assert headers["x_dead_letter_queue"] == "app:tasks"
            assert headers["x_dead_letter_attempts"] == 2
            assert headers["x_dead_letter_error"] == "the handler returned false"


def _name() -> str:
    return f"wippy-{uuid.uuid4().hex}"
