"""HTTP: hello through a Lua handler, and its slowest answers while processes compute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from benchmarks.child import check, get, server
from benchmarks.environment import installed, need_kind
from benchmarks.http_load import CLIENT, press
from benchmarks.runner import Line, Missing, Row, Settings, Skipped, Target, alternate

__all__ = ["rows"]

CONNECTIONS = 32
PATH = "/hello"
#: The same function behind middleware, which keeps requests from the direct path.
ASGI_PATH = "/asgi/hello"

#: Seconds of load on a server, a round.
SECONDS = 4


async def rows(settings: Settings) -> AsyncIterator[Line]:
    """Yield the figures of HTTP."""
    need_kind("http.service", "http.router", "http.endpoint")
    if not installed("uvicorn"):
        raise Missing("uvicorn is not installed: nothing to compare with")
    seconds = SECONDS * settings.load
    profile = settings.profiles and settings.profiles / "application.prof"
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(server("bare_uvicorn", path=PATH))
        lua = await stack.enter_async_context(server("application", path=PATH, profile=profile))

        async def rate(port: int, path: str = PATH) -> float:
            return (await press(port, path, CONNECTIONS, seconds)).rate

        sides = {"bare": lambda: rate(bare), "direct": lambda: rate(lua), "asgi": lambda: rate(lua, ASGI_PATH)}
        if installed("quart") and installed("hypercorn"):
            quart = await stack.enter_async_context(server("quart_hypercorn", path=PATH))
            sides["quart"] = lambda: rate(quart)
        found = await alternate(settings.rounds, **sides)
        what, against = f"hello through Lua ({CLIENT}, {CONNECTIONS} connections)", "bare uvicorn"
        direct, asgi = found["direct"], found["asgi"]
        yield Row(f"{what}, direct path", direct, "req/s", against, found["bare"], Target("ratio", ">=", 0.85))
        yield Row(f"{what}, ASGI path", asgi, "req/s", against, found["bare"], Target("ratio", ">=", 0.65))
        if "quart" in found:
            ten = Target("ratio", ">=", 10)
            yield Row(f"{what}, direct path", direct, "req/s", "hypercorn + quart", found["quart"], ten)
        else:
            yield Skipped("hello over hypercorn + quart", "quart and hypercorn are not both installed")

        async def p99(connections: int, busy: bool) -> float:
            if busy:
                check(await get(lua, "/spin"))
            try:
                return (await press(lua, PATH, connections, seconds)).p99
            finally:
                if busy:
                    check(await get(lua, "/rest"))

        found = await alternate(
            settings.rounds,
            many=lambda: p99(CONNECTIONS, False),
            many_busy=lambda: p99(CONNECTIONS, True),
            one=lambda: p99(1, False),
            one_busy=lambda: p99(1, True),
        )
        what, against = f"p99 beside spinning processes, {CONNECTIONS} connections", "without them"
        yield Row(what, found["many_busy"], "ms", against, found["many"], Target("ratio", "<=", 3))
        what = "p99 beside spinning processes, one connection"
        yield Row(what, found["one_busy"], "ms", against, found["one"], Target("ours", "<=", 5))
