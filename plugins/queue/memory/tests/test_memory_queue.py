"""The memory broker: its bound, its order, its options (manual page guides/queue-consumers)."""

from __future__ import annotations

import asyncio

import pytest

from wippy.errors import INVALID, UNAVAILABLE, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.scheduler.clock import VirtualClock
from wippy.testing import app_of
from wippy_plugin_queue import Queue, QueueSpec
from wippy_plugin_queue.conformance import Collector, message
from wippy_plugin_queue_memory import MemoryDriver, MemoryQueue


async def subscribed(queue: MemoryQueue, prefetch: int = 10) -> Collector:
    collector = Collector()
    await queue.subscribe(collector, prefetch=prefetch, auto_ack=True, options={})
    return collector


async def bodies(collector: Collector, count: int) -> str:
    return b" ".join([delivery.message.body for delivery in await collector.take(count)]).decode()


async def test_publishers_get_in_first_come_first_served() -> None:
    queue = MemoryQueue("q", VirtualClock(), 1)
    await queue.publish(message("a"))
    waiting = [asyncio.create_task(queue.publish(message(text))) for text in "bcd"]
    await asyncio.sleep(0)
    collector = await subscribed(queue)
    await asyncio.gather(*waiting)
    assert await bodies(collector, 4) == "a b c d"


async def test_what_fails_goes_to_the_tail_when_its_delay_is_over() -> None:
    clock = VirtualClock()
    queue = MemoryQueue("q", clock, 10)
    collector = await subscribed(queue, 1)
    for text in "abc":
        await queue.publish(message(text))
    (first,) = await collector.take(1)
    await first.nack(5)
    clock.advance_to(5)
    for _ in range(2):
        (delivery,) = await collector.take(1)
        await delivery.ack()
    (last,) = await collector.take(1)
    assert (last.message.body, last.attempt) == (b"a", 2)


async def test_what_is_released_keeps_its_place() -> None:
    queue = MemoryQueue("q", VirtualClock(), 10)
    collector = Collector()
    subscription = await queue.subscribe(collector, prefetch=2, auto_ack=False, options={})
    for text in "abc":
        await queue.publish(message(text))
    first, second = await collector.take(2)
    await subscription.cancel()
    await second.release()
    await first.release()
    assert await bodies(await subscribed(queue), 3) == "a b c"


async def test_what_comes_back_always_has_room() -> None:
    clock = VirtualClock()
    queue = MemoryQueue("q", clock, 1)
    collector = await subscribed(queue, 1)
    await queue.publish(message("a"))
    await queue.publish(message("b"))
    (first,) = await collector.take(1)
    await first.nack(1)
    clock.advance_to(1)
    assert await queue.info() == {"message_count": 2, "ready": 1, "consumer_count": 1}


async def test_a_delayed_message_takes_a_place() -> None:
    queue = MemoryQueue("q", VirtualClock(), 1)
    collector = Collector()
    subscription = await queue.subscribe(collector, prefetch=1, auto_ack=False, options={})
    await queue.publish(message("a"))
    (first,) = await collector.take(1)
    await subscription.cancel()
    await first.nack(60)
    waiting = asyncio.create_task(queue.publish(message("b")))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.resize(2)
    await waiting
    assert await queue.info() == {"message_count": 2, "ready": 1, "consumer_count": 0}


async def test_settling_twice_counts_once() -> None:
    queue = MemoryQueue("q", VirtualClock(), 10)
    collector = await subscribed(queue, 1)
    await queue.publish(message("a"))
    (delivery,) = await collector.take(1)
    await delivery.ack()
    await delivery.release()
    assert await queue.info() == {"message_count": 0, "ready": 0, "consumer_count": 1}


async def test_messages_are_shared_in_turn() -> None:
    queue = MemoryQueue("q", VirtualClock(), 10)
    one, two = await subscribed(queue), await subscribed(queue)
    for text in "abcd":
        await queue.publish(message(text))
    assert [await bodies(one, 2), await bodies(two, 2)] == ["a c", "b d"]


def test_options_are_checked_and_zero_is_the_default() -> None:
    driver = MemoryDriver(VirtualClock())
    driver.open(QueueSpec("app:q", "q", {"max_length": 0}))
    for options in ({"max_length": -1}, {"max_length": "many"}, {"max_lenght": 5}):
        with pytest.raises(Error, match=r"app:q: driver_options\.memory") as caught:
            driver.open(QueueSpec("app:q", "q", options))
        assert caught.value.kind == INVALID


async def test_a_thousand_messages_fit_by_default() -> None:
    queue = MemoryDriver(VirtualClock()).open(QueueSpec("app:q", "q", {}))
    for n in range(1000):
        await queue.publish(message(str(n)))
    waiting = asyncio.create_task(queue.publish(message("more")))
    await asyncio.sleep(0)
    assert not waiting.done()
    await queue.close()
    with pytest.raises(Error) as caught:
        await waiting
    assert caught.value.kind == UNAVAILABLE


async def test_a_queue_that_comes_back_still_has_its_messages_and_the_driver_takes_them_along() -> None:
    driver = Entry("app:driver", "queue.driver.memory", data={"lifecycle": {"auto_start": True}})
    queue = Entry("app:q", "queue.queue", data={"driver": "driver"})
    async with app_of(driver, queue) as app:
        await app.resources.get("app:q", Queue).publish(1)
        await app.registry.apply([Operation(Op.DELETE, queue)])
        await app.registry.apply([Operation(Op.CREATE, queue)])
        assert (await app.resources.get("app:q", Queue).info())["ready"] == 1
        changed = Entry(
            "app:driver", "queue.driver.memory", data={"lifecycle": {"auto_start": True, "stop_timeout": "1s"}}
        )
        await app.registry.apply([Operation(Op.UPDATE, changed, driver)])
        assert (await app.resources.get("app:q", Queue).info())["ready"] == 1
        assert app.supervisor.states()["app:driver"]["state"] == "running"
        await app.registry.apply([Operation(Op.DELETE, queue), Operation(Op.DELETE, changed)])
        await app.registry.apply([Operation(Op.CREATE, changed), Operation(Op.CREATE, queue)])
        assert (await app.resources.get("app:q", Queue).info())["ready"] == 0
