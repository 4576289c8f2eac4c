"""Applications over real sockets: a server on a free port, endpoints from a few lines of Lua, and a client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from wippy.registry.entry import Entry
from wippy.testing import app_of, function
from wippy_plugin_http import HttpServer

MODULES = ["http", "json", "time"]


class Site:
    """A running application with one server and one router."""

    def __init__(self, app, client):
        self.app = app
        self.client = client

    @property
    def server(self) -> HttpServer:
        return self.app.resources.get("app:gateway", HttpServer)

    @property
    def port(self) -> int:
        return self.server.port

    async def request(self, method, path, **options):
        return await self.client.request(method, path, **options)

    async def get(self, path, **options):
        return await self.request("GET", path, **options)

    async def post(self, path, **options):
        return await self.request("POST", path, **options)

    async def connect(self):
        """Return reader and writer of a connection, for what a client library does not do."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, text: bytes) -> bytes:
        """Send bytes and return all that comes until the server closes."""
        reader, writer = await self.connect()
        writer.write(text)
        answer = await reader.read()
        writer.close()
        return answer


def handler(source):
    """Return a chunk whose function has `req` and `res`, and gets the path's parameters as `...`."""
    return (
        'local http, json, time = require("http"), require("json"), require("time")\n'
        f"return function(...) local req, res = http.request(), http.response() {source}\nend"
    )


def endpoint(name, method, path, source=None, *, router="app:api", func=None):
    """Return the entries of an endpoint and, with `source`, of its function."""
    entries = [
        Entry(
            f"app:{name}.endpoint",
            "http.endpoint",
            meta={"router": router},
            data={"method": method, "path": path, "func": func or f"app:{name}"},
        )
    ]
    if source is not None:
        entries.insert(0, function(f"app:{name}", handler(source), MODULES))
    return entries


def gateway(**data):
    return Entry("app:gateway", "http.service", data={"addr": "127.0.0.1:0", "lifecycle": {"auto_start": True}, **data})


def router(name="api", prefix="/", **data):
    return Entry(f"app:{name}", "http.router", meta={"server": "app:gateway"}, data={"prefix": prefix, **data})


@asynccontextmanager
async def serve(routes=None, *entries, service=None, **options):
    """Run an application. `routes` maps "METHOD /path" to the body of its function."""
    made = [gateway(**(service or {})), router()]
    for number, (target, source) in enumerate((routes or {}).items()):
        method, path = target.split(" ", 1)
        made += endpoint(f"route{number}", method, path, source)
    async with app_of(*made, *entries, virtual=False, **options) as app:
        port = app.resources.get("app:gateway", HttpServer).port
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield Site(app, client)


@pytest.fixture
def http():
    """What tests build applications with."""

    class Tools:
        pass

    tools = Tools()
    tools.serve, tools.endpoint, tools.gateway, tools.router, tools.handler = serve, endpoint, gateway, router, handler
    tools.MODULES = MODULES
    return tools


@pytest.fixture(params=["direct", "asgi"])
def path_kind(request, monkeypatch):
    """Run a test on the direct path and on the ASGI path."""
    from wippy_plugin_http import protocol

    assert protocol.DIRECT, "this uvicorn is not built as the direct path expects: see protocol.py"
    if request.param == "asgi":
        monkeypatch.setattr(protocol, "DIRECT", False)
    return request.param
