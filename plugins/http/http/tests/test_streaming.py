"""Responses that leave in parts: chunks, events, slow clients, clients that go."""

from __future__ import annotations

import asyncio
import json

from wippy.testing import function


async def test_chunks_leave_as_they_are_flushed(http, path_kind):
    source = """
      res:write("one") res:flush()
      req:body()
      local late = res:set_status(201)
      res:write("two")
      res:write(late:kind() .. late:details().type)
    """
    async with http.serve({"POST /": source}) as site:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert b"content-length" not in head
        # The first chunk is here while the function waits for the rest of the request.
        assert await reader.readuntil(b"one\r\n") == b"3\r\none\r\n"
        writer.write(b"go")
        assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"twoInvalidINVALID_STATE\r\n0\r\n\r\n")
        # The connection goes on.
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_a_flushed_answer_that_ends_at_once(http, path_kind):
    async with http.serve({"GET /": "res:write('a') res:flush() res:flush() res:write('b') res:flush()"}) as site:
        response = await site.get("/")
        assert response.text == "ab"
        assert (await site.request("HEAD", "/")).content == b""


async def test_flush_without_a_body_sends_the_head(http, path_kind):
    async with http.serve({"GET /": "res:set_status(202) res:flush()"}) as site:
        response = await site.get("/")
        assert (response.status_code, response.content) == (202, b"")


async def test_chunked_transfer(http, path_kind):
    source = "res:set_transfer(http.TRANSFER.CHUNKED) for i = 1, 3 do res:write(('x'):rep(50000)) end"
    async with http.serve({"GET /": source}) as site:
        response = await site.get("/")
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.content == b"x" * 150_000


async def test_events(http, path_kind):
    source = """
      res:set_transfer(http.TRANSFER.SSE)
      res:write_event({name = "connected", data = {client_id = 7}})
      time.sleep("1ms")
      res:write_event({name = "text", id = 3, retry = 1000, data = "two\\nlines"})
      res:write_event({data = {}})
    """
    async with http.serve({"GET /": source, "GET /bare": "res:write_event({name = 'n', data = 1})"}) as site:
        response = await site.get("/")
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        assert response.text == (
            'event: connected\ndata: {"client_id":7}\n\n'
            'id: 3\nretry: 1000\nevent: text\ndata: "two\\nlines"\n\n'
            "data: []\n\n"
        )
        bare = await site.get("/bare")
        assert bare.headers["content-type"] == "text/event-stream"
        assert bare.text == "event: n\ndata: 1\n\n"


COUNTER = """
local function main(...)
  seen = seen or {}
  local name, value = ...
  if value ~= nil then seen[name] = value end
  return seen[name]
end
return main
"""


def counter(name="app:counter"):
    """A function with one instance that keeps values by name."""
    return function(name, COUNTER, pool={"type": "static", "size": 1})


async def kept(site, name, wanted):
    """Wait until the counter has a value for a name that satisfies `wanted`."""
    async with asyncio.timeout(10):
        while not wanted(value := await site.app.call("app:counter", name)):
            await asyncio.sleep(0.005)
    return value


async def test_a_slow_client_holds_the_function_back(http, path_kind):
    """The function writes 64 MB; it gets no further than buffers allow until the client reads."""
    source = """
      local chunk = ("x"):rep(65536)
      for i = 1, 1024 do
        res:write(chunk) res:flush()
        funcs.call("app:counter", "sent", i)
      end
    """
    async with http.serve({"GET /": source}, counter()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=65536)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        sent, before = await kept(site, "sent", bool), -1
        while sent != before:  # until it no longer moves
            before = sent
            for _ in range(20):
                sent = await site.app.call("app:counter", "sent")
                await asyncio.sleep(0.005)
        assert sent < 1000
        total = 0
        while data := await reader.read(1 << 20):
            total += len(data)
        assert total > 1024 * 65536
        assert await kept(site, "sent", lambda n: n == 1024)
        writer.close()


GONE = """
funcs.call("app:counter", "state", "runs")
{wait}
funcs.call("app:counter", "state", "ended")
"""


async def test_a_client_that_goes_ends_the_call(http, path_kind):
    async with http.serve({"GET /": GONE.format(wait="time.sleep('1h')")}, counter()) as site:
        _, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await kept(site, "state", lambda s: s == "runs")
        assert len(site.server.bridge.exchanges) == 1
        writer.close()
        async with asyncio.timeout(10):
            while site.server.bridge.exchanges:
                await asyncio.sleep(0.005)
        assert await site.app.call("app:counter", "state") == "runs"


async def test_a_client_that_goes_while_its_body_is_read(http, path_kind):
    async with http.serve({"POST /": GONE.format(wait="req:body()")}, counter()) as site:
        _, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await kept(site, "state", lambda s: s == "runs")
        writer.close()
        async with asyncio.timeout(10):
            while site.server.bridge.exchanges:
                await asyncio.sleep(0.005)
        assert await site.app.call("app:counter", "state") == "runs"


async def test_a_client_that_goes_ends_an_endless_stream(http, path_kind):
    source = "while true do res:write_event({name = 'tick', data = 1}) time.sleep('1ms') end"
    async with http.serve({"GET /": source}) as site:
        async with site.client.stream("GET", "/") as response:
            async for line in response.aiter_lines():
                assert line == "event: tick"
                break
        async with asyncio.timeout(10):
            while site.server.bridge.exchanges:
                await asyncio.sleep(0.005)


async def test_a_failure_in_the_middle_breaks_the_response_off(http, path_kind):
    async with http.serve({"GET /": "res:write('part') res:flush() time.sleep('1ms') error('secret')"}) as site:
        answer = await site.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"part" in answer
        assert b"secret" not in answer
        assert not answer.endswith(b"0\r\n\r\n")


async def test_a_hundred_at_once(http, path_kind):
    source = "local id = ... time.sleep(id % 2 == 0 and '5ms' or '1ms') return {id = id, header = req:header('X-Id')}"
    async with http.serve({"GET /{id}": source}) as site:

        async def one(number):
            response = await site.get(f"/{number}", headers={"X-Id": str(number)})
            return json.loads(response.text)

        answers = await asyncio.gather(*(one(number) for number in range(100)))
        assert answers == [{"id": str(n), "header": str(n)} for n in range(100)]


async def test_pipelined_requests_are_answered_in_order(http, path_kind):
    routes = {
        "GET /now/{id}": "return (...)",
        "GET /later/{id}": "time.sleep('5ms') return (...)",
        "POST /echo": "return req:body()",
    }
    async with http.serve(routes) as site:
        requests = b""
        for number in range(300):
            requests += b"GET /%s/%d HTTP/1.1\r\nHost: x\r\n\r\n" % ((b"later", b"now")[number % 3 > 0], number)
        requests += b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nlast"
        requests += b"GET /now/end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await site.raw(requests)
        bodies = [part.split(b"\r\n\r\n", 1)[1] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
        assert bodies == [*(b"%d" % n for n in range(300)), b"last", b"end"]


async def test_thousands_of_pipelined_requests_need_no_stack(http, path_kind):
    async with http.serve({"GET /": "return 'x'", "GET /slow": "time.sleep('5ms') return 'y'"}) as site:
        reader, writer = await site.connect()
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)
        writer.write(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        assert (await reader.read(-1)).count(b"200 OK") == 3002
        writer.close()
