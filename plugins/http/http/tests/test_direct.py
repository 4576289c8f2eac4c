"""The direct path and the ASGI path say the same, byte for byte but for the case and the order of headers."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from wippy_plugin_http import protocol

ROUTES = {
    "GET /hello": "res:write_json({message = 'hello'})",
    "GET /users/{id}": "res:set_header('X-Id', ...) return {id = ..., q = req:query('q')}",
    "POST /echo": "res:set_content_type(req:content_type() or 'text/plain') res:write(req:body())",
    "GET /empty": "res:set_status(204)",
    "GET /fail": "error('secret')",
    "GET /none": "local a",
    "GET /missing": "return nil, errors.new(errors.NOT_FOUND, 'gone')",
    "GET /wait": "time.sleep('1ms') return 'waited'",
    "GET /stream": "res:write('a') res:flush() res:write('b')",
    "GET /close": "res:set_header('Connection', 'close') return 'x'",
    "* /any": "return req:method()",
}
REQUESTS = [
    b"GET /hello HTTP/1.1\r\n",
    b"HEAD /hello HTTP/1.1\r\n",
    b"GET /hello HTTP/1.0\r\n",
    b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n",
    b"GET /hello?x=1 HTTP/1.1\r\nConnection: close\r\n",
    b"GET /users/a%2Fb?q=%20 HTTP/1.1\r\n",
    b"POST /echo HTTP/1.1\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nbody",
    b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n",
    b"POST /echo HTTP/1.1\r\nContent-Length: 0\r\n",
    b"GET /empty HTTP/1.1\r\n",
    b"HEAD /empty HTTP/1.1\r\n",
    b"GET /fail HTTP/1.1\r\n",
    b"GET /none HTTP/1.1\r\n",
    b"GET /missing HTTP/1.1\r\n",
    b"GET /wait HTTP/1.1\r\n",
    b"GET /stream HTTP/1.1\r\n",
    b"HEAD /stream HTTP/1.1\r\n",
    b"GET /stream HTTP/1.0\r\n",
    b"GET /close HTTP/1.1\r\n",
    b"PATCH /any HTTP/1.1\r\n",
    b"OPTIONS /any HTTP/1.1\r\n",
    b"OPTIONS /hello HTTP/1.1\r\n",
    b"PUT /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /nowhere HTTP/1.1\r\n",
    b"GET /x/../hello HTTP/1.1\r\n",
    b"GET /hello HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
]


def normal(answer):
    """Return status line, headers and body, without what may differ."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = sorted((n.lower(), v) for n, _, v in (line.partition(b": ") for line in lines) if n.lower() != b"date")
    with contextlib.suppress(ValueError):  # not JSON, or cut into chunks
        body = json.loads(body)  # the order of keys differs from VM to VM
    return first, headers, body


async def answers(http):
    """Return the answer to every request, twice: when the function is loaded first, and when it is there."""
    found = []
    async with http.serve(ROUTES) as site:
        for _ in range(2):
            for text in REQUESTS:
                # What follows on the same connection tells whether it was left in order.
                end = b"" if b"\r\n\r\n" in text and not text.endswith(b"0\r\n") else b"\r\n"
                last = b"GET /any HTTP/1.1\r\nConnection: close\r\n\r\n"
                async with asyncio.timeout(5):
                    found.append((text, await site.raw(text + end + last)))
    return found


async def test_both_paths_give_the_same_answers(http, monkeypatch):
    assert protocol.DIRECT
    direct = await answers(http)
    monkeypatch.setattr(protocol, "DIRECT", False)
    for (text, one), (_, other) in zip(direct, await answers(http), strict=True):
        assert one.count(b"HTTP/1.1 ") == other.count(b"HTTP/1.1 "), text
        for a, b in zip(one.split(b"HTTP/1.1 "), other.split(b"HTTP/1.1 "), strict=True):
            assert normal(a) == normal(b), text


async def test_what_ends_at_once_takes_the_direct_path(http, monkeypatch):
    """Guards the reason for the direct path: no task for such a request, one for any other."""
    started = []
    spawn = protocol.Protocol._spawn
    monkeypatch.setattr(
        protocol.Protocol, "_spawn", lambda self, cycle, app: (started.append(cycle), spawn(self, cycle, app))
    )
    async with http.serve(ROUTES) as site:
        for path in ("/hello", "/users/7", "/wait"):
            await site.get(path)  # loads the code
        started.clear()
        await site.get("/hello")
        await site.get("/users/7?q=1")
        await site.request("HEAD", "/hello")
        await site.post("/echo", content=b"x")
        started.clear()
        await site.get("/hello")
        await site.raw(b"POST /echo HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody")
        assert started == []
        await site.get("/wait")
        assert len(started) == 1


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
async def test_a_failure_of_ours_is_500_and_logged(http, monkeypatch, caplog, kind):
    async with http.serve(ROUTES) as site:

        def fail(*args):
            raise kind("internal detail")

        monkeypatch.setattr(site.server.bridge, "begin", fail)
        response = await site.get("/hello")
        assert (response.status_code, response.json()) == (500, {"error": "internal server error"})
        assert (await site.post("/echo", content=b"x")).status_code == 500
    assert "internal detail" in caplog.text
