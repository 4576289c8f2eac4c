"""The request as functions see it, on both paths."""

from __future__ import annotations

import pytest

from wippy.testing import run_lua

ALL = """
return {
  method = req:method(), path = req:path(), query = req:query("a"), missing = req:query("zz") == nil, params = req:query_params(),
  header = req:header("X-One"), none = req:header("X-None") == nil, headers = req:headers(), type = req:content_type(),
  length = req:content_length(), host = req:host(), remote = req:remote_addr(), id = req:param("id"), all = req:params(),
  no_param = req:param("other") == nil, has_body = req:has_body(), body = req:body(), again = req:body(),
}
"""


async def test_every_accessor(http, path_kind):
    async with http.serve({"POST /u/{id}/{rest...}": ALL}) as site:
        response = await site.post(
            "/u/a%20b/c/d%2Fe?a=1%202&b=x+y&a=%C3%A9&flag&=",
            content=b"text",
            headers=[("X-One", "1"), ("X-Two", "a"), ("X-Two", "b"), ("Content-Type", "text/plain; charset=utf-8")],
        )
        answer = response.json()
        assert response.status_code == 200
        assert answer["method"] == "POST"
        assert answer["path"] == "/u/a b/c/d/e"
        assert answer["query"] == "1 2"
        assert answer["params"] == {"a": "1 2,é", "b": "x y", "flag": "", "": ""}
        assert answer["header"] == "1"
        assert answer["headers"]["x-two"] == "a, b"
        assert answer["type"] == "text/plain; charset=utf-8"
        assert answer["length"] == 4
        assert answer["host"] == f"127.0.0.1:{site.port}"
        assert answer["remote"].startswith("127.0.0.1:")
        assert answer["id"] == "a b"
        assert answer["all"] == {"id": "a b", "rest": "c/d/e"}
        assert answer["body"] == answer["again"] == "text"
        assert all(answer[name] is True for name in ("missing", "none", "no_param", "has_body"))


async def test_without_a_body(http, path_kind):
    source = "return {length = req:content_length(), has = req:has_body(), body = req:body(), type = req:content_type() == nil}"
    async with http.serve({"GET /": source, "POST /": source}) as site:
        expected = {"length": 0, "has": False, "body": "", "type": True}
        assert (await site.get("/")).json() == expected
        assert (await site.post("/")).json() == expected


async def test_a_body_in_chunks(http, path_kind):
    source = "local has, length = req:has_body(), req:content_length() return {length, has, req:body()}"

    async def chunks():
        yield b"one "
        yield b"two"

    async with http.serve({"POST /": source}) as site:
        assert (await site.post("/", content=chunks())).json() == [-1, True, "one two"]


async def test_json_bodies(http, path_kind):
    source = """
      local data, err = req:body_json()
      if err then return {kind = err:kind(), type = err:details().type, retryable = err:retryable(), message = err:message()} end
      return data
    """
    async with http.serve({"POST /": source}) as site:
        assert (await site.post("/", content=b'{"a": [1, {"b": null}]}')).json() == {"a": [1, {}]}
        for malformed in (b"{", b"", b"[1,]"):
            answer = (await site.post("/", content=malformed)).json()
            assert answer["kind"] == "Invalid"
            assert answer["type"] == "PARSE_FAILED"
            assert answer["retryable"] is False
            assert "not JSON" in answer["message"]


@pytest.mark.parametrize(
    ("accept", "wanted", "expected"),
    [
        (None, "text/html", True),
        ("application/json", "application/json", True),
        ("application/json", "text/html", False),
        ("text/*, application/json", "text/html", True),
        ("*/*", "image/png", True),
        ("text/html;q=0, */*", "text/html", False),
        ("text/html;q=0.5", "Text/HTML; charset=utf-8", True),
        ("text/*;q=0, text/html", "text/html", True),
    ],
)
async def test_accepts(http, accept, wanted, expected):
    async with http.serve({"GET /": f"return tostring(req:accepts('{wanted}'))"}) as site:
        site.client.headers.pop("accept")
        headers = {} if accept is None else {"Accept": accept}
        assert (await site.get("/", headers=headers)).text == str(expected).lower()


async def test_content_types(http):
    source = "return {req:is_content_type('application/json'), req:is_content_type(http.CONTENT.FORM)}"
    async with http.serve({"POST /": source}) as site:
        headers = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert (await site.post("/", headers=headers)).json() == [True, False]
        assert (await site.post("/")).json() == [False, False]


async def test_limits_of_a_body(http, path_kind):
    source = """
      local limited, err = http.request({max_body = 10})
      local body, err = limited:body()
      if err then return nil, err end
      return body
    """
    async with http.serve(
        {"POST /": source, "POST /own": source.replace("return nil, err", "return err:kind()")}
    ) as site:
        assert (await site.post("/", content=b"0123456789")).text == "0123456789"
        response = await site.post("/", content=b"0123456789a")
        assert response.status_code == 413
        assert response.json() == {"error": "request body is larger than 10 bytes (max_body)", "kind": "Invalid"}
        assert (await site.post("/own", content=b"0123456789a")).text == "Invalid"

        async def chunks():
            for _ in range(20):
                yield b"x" * 1000

        assert (await site.post("/", content=chunks())).status_code == 413


async def test_a_huge_body_is_refused_without_being_taken(http, path_kind):
    """The answer comes while the client has sent next to nothing of what it announced."""
    async with http.serve(
        {"POST /": "local body, err = http.request({max_body = 1000}):body() return body, err"}
    ) as site:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n" + b"x" * 2000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_a_body_that_does_not_come_in_time(http, path_kind):
    source = """
      local slow = http.request({timeout = 20})
      local body, err = slow:body()
      return {body == nil, err:kind(), err:message(), err:retryable()}
    """
    async with http.serve({"POST /": source}) as site:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc")
        answer = await reader.read()
        assert answer.endswith(b'[true,"Internal","read timeout: no complete body within 0.02 s",false]')
        writer.close()


async def test_a_function_that_does_not_read_the_body_does_not_wait_for_it(http, path_kind):
    async with http.serve({"POST /": "return 'early'"}) as site:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        assert (await reader.readuntil(b"early")).startswith(b"HTTP/1.1 200 OK")
        # The body still belongs to that request: the next one is understood.
        writer.write(b"12345POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readuntil(b"early")).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_a_body_as_a_stream(http, path_kind):
    source = """
      local stream, sizes, total = req:stream(), {}, 0
      while true do
        local chunk, err = stream:read(65536)
        if err or not chunk then break end
        total = total + #chunk
        if #chunk > 65536 then sizes[#sizes + 1] = #chunk end
      end
      stream:close()
      local after, err = stream:read(1)
      local whole, again = req:body()
      return {total, #sizes, after == nil and err:details().type, whole == nil and again:details().type}
    """
    async with http.serve({"POST /": source}) as site:
        response = await site.post("/", content=b"x" * 1_000_000)
        assert response.json() == [1_000_000, 0, "STREAM_ERROR", "STREAM_ERROR"]


async def test_a_stream_of_a_body_that_was_read(http):
    source = "req:body() local s = req:stream() return {s:read(2), s:read(0), s:read(1) == nil}"
    async with http.serve({"POST /": source}) as site:
        assert (await site.post("/", content=b"abcde")).json() == ["ab", "cde", True]


async def test_big_bodies_echo(http, path_kind):
    async with http.serve({"POST /": "res:write(req:body())"}) as site:
        body = bytes(range(256)) * 20_000
        response = await site.post("/", content=body)
        assert response.content == body


async def test_expect_continue(http, path_kind):
    async with http.serve({"POST /": "return req:body()"}) as site:
        reader, writer = await site.connect()
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await reader.read()).endswith(b"\r\n\r\nok")
        writer.close()


@pytest.mark.parametrize("name", ["request", "response"])
async def test_outside_a_request(name):
    kind, message = await run_lua(
        f"local value, err = require('http').{name}() return {{err:kind(), err:message()}}", modules=["http"]
    )
    assert kind == "Internal"
    assert message.startswith("no HTTP context")


async def test_a_called_function_has_no_request(http):
    from wippy.testing import function

    inner = function("app:inner", "return function() return select(2, require('http').request()):kind() end", ["http"])
    async with http.serve({"GET /": "return (funcs.call('app:inner'))"}, inner) as site:
        assert (await site.get("/")).text == "Internal"


async def test_tasks_of_the_function_have_its_request(http):
    source = """
      local done = channel.new()
      coroutine.spawn(function() done:send(http.request():path()) end)
      return (done:receive())
    """
    async with http.serve({"GET /here": source}) as site:
        assert (await site.get("/here")).text == "/here"


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("http.request(1)", "options must be a table"),
        ("http.request({timeout = 'x'})", "timeout must be"),
        ("http.request({max_body = -1})", "max_body must be"),
        ("req:query()", "name must be a string"),
        ("req:param(1)", "name must be a string"),
        ("req:header({})", "name must be a string"),
        ("req:is_content_type()", "name must be a string"),
        ("req:accepts()", "name must be a string"),
        ("req:stream():read(-1)", "size must be"),
        ("req:parse_multipart('x')", "max_memory must be"),
    ],
)
async def test_misuse(http, call, complaint):
    async with http.serve(
        {"POST /": f"local value, err = {call} return {{value == nil, err:kind(), err:message()}}"}
    ) as site:
        nothing, kind, message = (await site.post("/")).json()
        assert (nothing, kind) == (True, "Invalid")
        assert complaint in message


async def test_methods_want_their_own_handle(http):
    source = """
      local results = {}
      for _, name in ipairs({"method", "path", "query", "query_params", "header", "headers", "content_type",
          "content_length", "host", "remote_addr",
          "body", "body_json", "has_body", "accepts", "is_content_type", "param", "params", "stream",
          "parse_multipart"}) do
        local ok, problem = pcall(req[name], res)
        results[#results + 1] = not ok and problem:find("bad argument #1 to '" .. name .. "' (Request expected)", 1, true) ~= nil
      end
      for _, name in ipairs({"set_status", "set_header", "write", "flush", "write_json", "set_content_type", "write_event",
          "set_transfer"}) do
        local ok, problem = pcall(res[name], req)
        results[#results + 1] = not ok and problem:find("bad argument #1 to '" .. name .. "' (Response expected)", 1, true) ~= nil
      end
      return {results, type(req), type(res), (pcall(rawset, req, 1, 2)), (pcall(rawget, res, "id")),
        getmetatable(req) == nil, getmetatable(res) == nil}
    """
    async with http.serve({"GET /": source}) as site:
        results, *rest = (await site.get("/")).json()
        assert results == [True] * 27
        assert rest == ["userdata", "userdata", False, False, True, True]


async def test_a_kept_handle_sees_nothing_of_later_requests(http):
    source = """
      kept_req, kept_res = kept_req or req, kept_res or res
      if kept_req ~= req then
        return {kept_req:header("x-secret") == nil, kept_res:write("intruder"):details().type, (select(2, kept_req:body())):kind()}
      end
      return "first"
    """
    async with http.serve({"POST /": source}) as site:
        assert (await site.post("/")).text == "first"
        response = await site.post("/", headers={"X-Secret": "s"}, content=b"x")
        assert response.json() == [True, "INVALID_STATE", "Internal"]
