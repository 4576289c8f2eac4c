"""Make N idle processes, or N suspended coroutines in plain Lua, and print the resident memory before and after."""

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wippy.app import App


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tell(before: int) -> None:
    print(json.dumps({"before": before, "after": resident()}), flush=True)
    os._exit(0)  # to stop 100 000 processes in good order takes longer than the measurement


async def processes(count: int) -> None:
    from wippy.testing import app_of, host, process

    idle = process("bench:idle", "return function() process.inbox():receive() end")
    crowd = process(
        "bench:crowd", 'return function(n) for i = 1, n do process.spawn("bench:idle", "bench:processes") end end'
    )

    async def spawn(app: "App", count: int) -> None:
        _, end = await app.node.spawn_watched("bench:crowd", "bench:processes", count)
        error = (await end).error
        if error is not None:
            raise error

    async with app_of(host("bench:processes", workers=1), idle, crowd, virtual=False) as app:
        await spawn(app, 1)
        before = resident()
        await spawn(app, count)
        while len(await app.node.processes("bench:processes")) < count:  # each of them has run until it waits
            await asyncio.sleep(0)
        tell(before)


async def coroutines(count: int) -> None:
    from lupa import lua54

    lua = lua54.LuaRuntime(encoding=None)
    make = lua.execute(
        b"kept = {} return function(n) for i = 1, n do local co = coroutine.create(coroutine.yield) "
        b"coroutine.resume(co) kept[i] = co end end"
    )
    before = resident()
    make(count)
    tell(before)


asyncio.run(globals()[sys.argv[1]](int(sys.argv[2])))
