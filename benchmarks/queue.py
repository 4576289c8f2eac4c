"""Queues: publish and consume through the memory driver, over an asyncio.Queue."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from benchmarks.environment import need_kind
from benchmarks.runner import Row, Settings, Target, alternate
from wippy.registry.entry import Entry
from wippy.testing import app_of, function

__all__ = ["rows"]

#: As many messages wait at most (the driver's default).
LENGTH = 1000

PUBLISH = function(
    "bench:publish",
    """
    local queue = require("queue")
    return function(n)
      local done = process.listen("done")
      assert(process.registry.register("bench.publisher"))
      for i = 1, n do
        local ok, err = queue.publish("bench:tasks", {id = i, name = "task", last = i == n})
        if not ok then return nil, err end
      end
      done:receive()
    end
    """,
    ["queue"],
)
CONSUME = function(
    "bench:consume",
    """
    return function(task)
      if task.last then assert(process.send("bench.publisher", "done", task.id)) end
    end
    """,
)


async def rows(settings: Settings) -> AsyncIterator[Row]:
    """Yield the figures of the memory queue; nothing is durable."""
    need_kind("queue.driver.memory", "queue.queue", "queue.consumer")
    messages = settings.count(20_000)
    # The baselines are quicker: they get more, so that every side runs for as long.
    many, more = settings.count(600_000), settings.count(80_000)
    started = {"lifecycle": {"auto_start": True}}
    entries = [
        Entry("bench:driver", "queue.driver.memory", data=started),
        Entry("bench:tasks", "queue.queue", data={"driver": "bench:driver"}),
        Entry("bench:consumer", "queue.consumer", data={"queue": "bench:tasks", "func": "bench:consume", **started}),
    ]
    async with app_of(*entries, PUBLISH, CONSUME, virtual=False) as app:
        await app.call("bench:publish", 10)

        async def lua() -> float:
            begun = time.perf_counter()
            await app.call("bench:publish", messages)
            return messages / (time.perf_counter() - begun)

        found = await alternate(settings.rounds, lua=lua, bare=lambda: bare(many), encoded=lambda: encoded(more))
    what = "publish + consume, memory driver, one consumer"
    yield Row(what, found["lua"], "messages/s", "asyncio.Queue", found["bare"], Target("ratio", ">=", 0.6))
    yield Row(what, found["lua"], "messages/s", "asyncio.Queue, JSON, a task each", found["encoded"])


async def bare(messages: int) -> float:
    """Hand objects from one task to another; returns messages a second."""
    queue: asyncio.Queue[dict[str, object]] = asyncio.Queue(LENGTH)

    async def consume() -> None:
        while not (await queue.get())["last"]:
            pass

    begun = time.perf_counter()
    consumer = asyncio.create_task(consume())
    for i in range(1, messages + 1):
        await queue.put({"id": i, "name": "task", "last": i == messages})
    await consumer
    return messages / (time.perf_counter() - begun)


async def encoded(messages: int) -> float:
    """The same with what a broker's client adds: the message as JSON text, and a task for its handler."""
    queue: asyncio.Queue[str] = asyncio.Queue(LENGTH)

    async def handle(message: dict[str, object]) -> object:
        return message["last"]

    async def consume() -> None:
        while not await asyncio.create_task(handle(json.loads(await queue.get()))):
            pass

    begun = time.perf_counter()
    consumer = asyncio.create_task(consume())
    for i in range(1, messages + 1):
        await queue.put(json.dumps({"id": i, "name": "task", "last": i == messages}))
    await consumer
    return messages / (time.perf_counter() - begun)
