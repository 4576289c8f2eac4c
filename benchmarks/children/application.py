"""Run an application until SIGTERM: the one in a directory (`- DIRECTORY`), or the HTTP benchmark's own (a port)."""

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from wippy.app import App
from wippy.plugin import EntryPoint, Plugins, scan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wippy.registry.entry import Entry
    from wippy_plugin_http.middleware import ASGI, Place

HELLO = """
local http = require("http")
return function()
  local request, response = http.request(), http.response()
  response:write_json({message = "hello", method = request:method()})
end
"""
#: A processor kept busy, by name so that it can be stopped.
SPIN = """
return function()
  for i = 1, tonumber(COUNT) do
    assert(process.with_options({}):with_name("spinner" .. i):spawn("bench:spinner", "bench:processes"))
  end
  return {spinning = true}
end
"""
REST = """
return function()
  for i = 1, tonumber(COUNT) do
    process.terminate(assert(process.registry.lookup("spinner" .. i)))
  end
  return {spinning = false}
end
"""

PASS = "bench.pass"


class Pass:
    """Middleware that does nothing: routes with middleware take the ASGI path, others the direct one."""

    def wrap(self, inner: "ASGI", options: "Mapping[str, Any]", place: "Place") -> "ASGI":
        return inner


middleware = Pass()


def entries(port: int) -> "list[Entry]":
    from wippy.registry.entry import Entry
    from wippy.testing import function, host, process

    def endpoint(name: str, router: str = "router") -> Entry:
        data = {"method": "GET", "path": f"/{name}", "func": f"bench:{name}"}
        return Entry(f"bench:{router}.{name}", "http.endpoint", meta={"router": f"bench:{router}"}, data=data)

    def router(name: str, **data: object) -> Entry:
        return Entry(f"bench:{name}", "http.router", meta={"server": "bench:server"}, data=data)

    spinners = str(os.cpu_count() or 1)
    return [
        host("bench:processes"),
        Entry("bench:server", "http.service", data={"addr": f"127.0.0.1:{port}", "lifecycle": {"auto_start": True}}),
        router("router", prefix="/"),
        router("asgi_router", prefix="/asgi", middleware=[PASS]),
        function("bench:hello", HELLO, ["http"]),
        process("bench:spinner", "return function() while true do end end"),
        function("bench:spin", SPIN.replace("COUNT", spinners)),
        function("bench:rest", REST.replace("COUNT", spinners)),
        *map(endpoint, ("hello", "spin", "rest")),
        endpoint("hello", "asgi_router"),
    ]


def benchmark(port: int) -> App:
    points = [*scan(), EntryPoint("wippy.middleware", PASS, "__main__:middleware", "wippy-benchmarks", "0")]
    return App(None, entries=entries(port), plugins=Plugins(points))


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    where = sys.argv[1:]
    app = App(where[1]) if where[0] == "-" else benchmark(int(where[0]))
    async with app:
        await stop.wait()


# As the command line does: requests get the interpreter soon although workers spin.
sys.setswitchinterval(0.0005)
try:
    import uvloop
except ImportError:
    asyncio.run(main())
else:
    uvloop.run(main())
