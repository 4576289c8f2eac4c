"""Messages between processes: on one worker, beside many idle processes, with a backlog, on two workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from benchmarks.actors import actor, run, worker_host
from benchmarks.plain import SWITCH, PlainLua, per
from benchmarks.runner import Row, Settings, Target, alternate
from wippy.app import App
from wippy.testing import app_of

__all__ = ["rows"]

#: Sends `n` messages to a partner and receives as many.
PAIR = actor(
    "pair",
    """
    return function(n, as_table)
      local inbox = process.inbox()
      local partner = process.spawn("bench:partner", "bench:processes")
      process.send(partner, "start", process.pid())
      for i = 1, n do
        local value = inbox:receive():payload():data()
        process.send(partner, "ping", as_table and {id = i, name = "ping", tags = {"a", "b"}} or i)
      end
      process.terminate(partner)
    end
    """,
)
PARTNER = actor(
    "partner",
    """
    return function()
      local inbox = process.inbox()
      local to = inbox:receive():payload():data()
      process.send(to, "pong", 0)
      while true do
        local value = inbox:receive():payload():data()
        process.send(to, "pong", value)
      end
    end
    """,
)
#: Spawns processes that wait for ever.
CROWD = actor("crowd", 'return function(n) for i = 1, n do process.spawn("bench:idle", "bench:processes") end end')
IDLE = actor("idle", "return function() process.inbox():receive() end")
#: Lets `senders` processes fill its mailbox with `n` messages each before it receives the first.
BACKLOG = actor(
    "backlog",
    """
    return function(senders, n)
      local events, inbox, me = process.events(), process.inbox(), process.pid()
      for i = 1, senders do process.spawn_monitored("bench:sender", "bench:processes", me, n) end
      for i = 1, senders do events:receive() end
      for i = 1, senders * n do local value = inbox:receive():payload():data() end
    end
    """,
)
SENDER = actor("sender", 'return function(to, n) for i = 1, n do process.send(to, "work", i) end end')
#: What a machine gives to two threads of plain Lua bounds what it gives to two workers.
SPIN = "return function(n) local x = 0 for i = 1, n do x = (x * 31 + i) % 65521 end return x end"

SENDERS = 100


async def rows(settings: Settings) -> AsyncIterator[Row]:
    """Yield the figures of messages."""
    messages = settings.count(400_000)
    idle = settings.count(100_000)
    backlog = settings.count(3_000)
    async with AsyncExitStack() as stack:

        async def application(workers: int) -> App:
            entries = (PAIR, PARTNER, CROWD, IDLE, BACKLOG, SENDER)
            app = await stack.enter_async_context(app_of(worker_host(workers), *entries, virtual=False))
            await asyncio.gather(*[run(app, "pair", 10, False) for _ in range(workers)])
            return app

        app, crowded, both = await application(1), await application(1), await application(2)
        await run(crowded, "crowd", idle)
        await run(app, "backlog", 1, 1)
        plain = PlainLua()
        switch = plain.load(SWITCH)

        async def microseconds(target: App, as_table: bool = False) -> float:
            return await run(target, "pair", messages // 2, as_table) / messages * 1e6

        async def draining() -> float:
            return await run(app, "backlog", SENDERS, backlog) / (SENDERS * backlog) * 1e6

        found = await alternate(
            settings.rounds,
            switch=lambda: per(plain, switch, messages * 5),
            one=lambda: microseconds(app),
            table=lambda: microseconds(app, True),
            crowd=lambda: microseconds(crowded),
            backlog=draining,
        )
        switches = ("raw coroutine switch", found["switch"])
        yield Row("send + receive, a number", found["one"], "µs", *switches, Target("ratio", "<=", 14))
        yield Row("send + receive, a table of 5 values", found["table"], "µs", *switches)
        rate = {name: sample.map(lambda microseconds: 1e6 / microseconds) for name, sample in found.items()}
        alone = ("alone", rate["one"])
        slower = Target("ratio", ">=", 0.8)
        yield Row(f"beside {idle:,} idle processes", rate["crowd"], "messages/s", *alone, slower)
        yield Row(f"{SENDERS} senders, backlog {SENDERS * backlog:,}", rate["backlog"], "messages/s", *alone, slower)

        async def pairs(target: App, count: int) -> float:
            started = time.perf_counter()
            await asyncio.gather(*[run(target, "pair", messages // 2, False) for _ in range(count)])
            return count * messages / (time.perf_counter() - started)

        spinners = [PlainLua(), PlainLua()]
        spins = [lua.load(SPIN) for lua in spinners]
        turns = settings.count(20_000_000)

        async def threads(count: int) -> float:
            started = time.perf_counter()
            await asyncio.gather(*[spinners[i].seconds(spins[i], turns) for i in range(count)])
            return count * turns / (time.perf_counter() - started) / 1e6

        found = await alternate(
            settings.rounds,
            one=lambda: pairs(app, 1),
            two=lambda: pairs(both, 2),
            one_thread=lambda: threads(1),
            two_threads=lambda: threads(2),
        )
        target = Target("ratio", ">=", 1.8)
        yield Row("two workers, a pair on each", found["two"], "messages/s", "one worker", found["one"], target)
        what = "plain Lua, two threads (the machine's own limit)"
        yield Row(what, found["two_threads"], "M loops/s", "one thread", found["one_thread"])
