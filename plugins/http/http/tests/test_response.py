"""The response as functions make it, and what a function's value or failure answers (decision 15), on both paths."""

from __future__ import annotations

import logging

import pytest

from wippy.testing import run_lua

JSON = "application/json"


@pytest.mark.parametrize(
    ("source", "status", "content_type", "body"),
    [
        ("res:write('hello')", 200, "text/plain; charset=utf-8", b"hello"),
        ("res:write('a') res:write(1) res:write(2.5) res:write('b')", 200, "text/plain; charset=utf-8", b"a12.5b"),
        ("res:write('<!DOCTYPE html><p>x</p>')", 200, "text/html; charset=utf-8", b"<!DOCTYPE html><p>x</p>"),
        ("res:write('\\0\\1')", 200, "application/octet-stream", b"\0\1"),
        ("res:write_json({a = 1})", 200, JSON, b'{"a":1}'),
        ("res:write_json({})", 200, JSON, b"[]"),
        ("res:set_content_type('text/csv') res:write_json(1)", 200, "text/csv", b"1"),
        ("res:set_status(http.STATUS.CREATED) res:write_json({1})", 201, JSON, b"[1]"),
        ("res:set_status(204)", 204, None, b""),
        ("res:set_status(204) res:write('dropped')", 204, None, b""),
        ("res:set_status(404)", 404, None, b""),
        ("res:set_header('X-A', 'b')", 200, None, b""),
        ("res:set_content_type('text/x')", 200, "text/x", b""),
        ("res:write('')", 200, None, b""),
        ("return {a = {1, 2}}", 200, JSON, b'{"a":[1,2]}'),
        ("return {}", 200, JSON, b"[]"),
        ("return 'plain'", 200, JSON, b"plain"),
        ("return ''", 200, JSON, b""),
        ("return 7", 200, JSON, b"7"),
        ("return false", 200, JSON, b"false"),
        ("res:write('said') return {ignored = true}", 200, "text/plain; charset=utf-8", b"said"),
        ("res:set_status(201) return {ignored = true}", 201, None, b""),
        ("", 500, JSON, b'{"error":"no response sent"}'),
        ("return nil", 500, JSON, b'{"error":"no response sent"}'),
        ("res:write('said') return nil, 'late'", 200, "text/plain; charset=utf-8", b"said"),
        ("return nil, 'plain failure'", 500, JSON, b'{"error":"plain failure"}'),
        ("return {a = function() end}", 500, JSON, None),
    ],
)  # fmt: skip
async def test_answers(http, path_kind, source, status, content_type, body):
    async with http.serve({"GET /": source, "POST /": source}) as site:
        for method in ("GET", "POST", "GET"):
            response = await site.request(method, "/")
            assert response.status_code == status
            assert response.headers.get("content-type") == content_type
            if body is not None:
                assert response.content == body
            assert response.headers.get("content-length") == (None if status == 204 else str(len(response.content)))
        head = await site.request("HEAD", "/")
        assert (head.status_code, head.content) == (status, b"")
        assert head.headers.get("content-length") == response.headers.get("content-length")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("INVALID", 400),
        ("PERMISSION_DENIED", 403),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("CONFLICT", 409),
        ("RATE_LIMITED", 429),
        ("UNAVAILABLE", 503),
        ("TIMEOUT", 504),
        ("INTERNAL", 500),
        ("CANCELED", 500),
    ],
)
async def test_a_returned_error_answers_with_the_status_of_its_kind(http, kind, status):
    async with http.serve({"GET /": f"return nil, errors.new(errors.{kind}, 'because')"}) as site:
        response = await site.get("/")
        assert response.status_code == status
        assert response.json()["error"] == "because"
        assert response.headers["content-type"] == JSON


@pytest.mark.parametrize("waits", ["", "time.sleep('1ms')"])
async def test_a_raised_error_is_500_and_stays_inside(http, path_kind, waits, caplog):
    source = f"res:set_status(201) res:write('half') {waits} error(errors.new(errors.NOT_FOUND, 'secret'))"
    async with http.serve({"GET /secret/path": source}) as site:
        with caplog.at_level(logging.ERROR, "wippy"):
            response = await site.get("/secret/path")
        assert response.status_code == 500
        assert response.json() == {"error": "internal server error"}
    record = next(r for r in caplog.records if "secret" in r.message)
    assert record.message == "app:route0 failed: secret"
    fields = record.wippy["fields"]
    assert (fields["method"], fields["path"], fields["kind"]) == ("GET", "/secret/path", "NotFound")
    assert "app:route0" in fields["stack"]


async def test_path_parameters_are_arguments(http, path_kind):
    source = "local a, b, c = ... return {a, b, c == nil, select('#', ...)}"
    async with http.serve({"GET /x/{a}/{b}": source, "GET /x/{a}": source, "GET /y/{p...}": "return (...)"}) as site:
        assert (await site.get("/x/1/b%20c")).json() == ["1", "b c", True, 2]
        assert (await site.get("/y/1/2")).text == "1/2"


async def test_one_function_may_answer_many_endpoints(http):
    entries = http.endpoint("again", "PUT", "/again/{id}", func="app:route0")
    async with http.serve({"GET /once": "return {req:method(), ...}"}, *entries) as site:
        assert (await site.get("/once")).json() == ["GET"]
        assert (await site.request("PUT", "/again/5")).json() == ["PUT", "5"]


async def test_headers(http, path_kind):
    source = """
      res:set_header("X-One", "1") res:set_header("x-one", "2") res:set_header("X-Number", 5)
      res:set_header("Content-Type", "text/special")
      res:set_header("Content-Length", "999") res:set_header("Transfer-Encoding", "x")
      res:set_header("Set-Cookie", "a=b; Path=/")
      res:write("body")
    """
    async with http.serve({"GET /": source}) as site:
        response = await site.get("/")
        assert response.headers.get_list("x-one") == ["2"]
        assert response.headers["x-number"] == "5"
        assert response.headers["content-type"] == "text/special"
        assert response.headers["content-length"] == "4"
        assert response.headers["set-cookie"] == "a=b; Path=/"
        assert "date" in response.headers
        assert "server" not in response.headers


async def test_a_function_may_close_the_connection(http, path_kind):
    async with http.serve({"GET /": "res:set_header('Connection', 'close') res:write('bye')"}) as site:
        answer = await site.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.lower().count(b"connection: close") == 1
        assert answer.endswith(b"\r\n\r\nbye")


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("res:set_header('A', 'b\\r\\nSet-Cookie: x=1')", "line break"),
        ("res:set_header('A', 'b\\n')", "line break"),
        ("res:set_header('A', '\\0')", "control character"),
        ("res:set_header('A\\r\\nB', 'x')", "is not a header name"),
        ("res:set_header('', 'x')", "is not a header name"),
        ("res:set_header('a b', 'x')", "is not a header name"),
        ("res:set_header(nil, 'x')", "is not a header name"),
        ("res:set_header('A', {})", "must be a string"),
        ("res:set_content_type('text/plain\\r\\nX: y')", "line break"),
        ("res:set_content_type(nil)", "must be a string"),
        ("res:set_status(99)", "from 200 to 599"),
        ("res:set_status('200')", "from 200 to 599"),
        ("res:set_status(200.5)", "from 200 to 599"),
        ("res:write(nil)", "data must be a string"),
        ("res:write({})", "data must be a string"),
        ("res:set_transfer('zip')", "TRANSFER"),
        ("res:write_event('x')", "must be a table"),
        ("res:write_event({name = 'a\\nb', data = 1})", "line break"),
    ],
)
async def test_misuse(http, call, complaint):
    async with http.serve({"GET /": f"local err = {call} return {{err:kind(), err:message()}}"}) as site:
        response = await site.get("/")
        kind, message = response.json()
        assert kind == "Invalid"
        assert complaint in message
        assert not {"set-cookie", "x", "a"} & set(response.headers)


async def test_what_json_cannot_hold(http):
    async with http.serve({"GET /": "local err = res:write_json({function() end}) return err:kind()"}) as site:
        assert (await site.get("/")).text == "Internal"


async def test_successful_calls_return_nothing(http):
    source = """
      return {res.set_status and select("#", res:set_status(200)), res:set_header("a", "b") == nil, res:write("x") == nil}
    """
    async with http.serve({"GET /": source.replace("return", "local t =") + " res:write(json.encode(t))"}) as site:
        assert (await site.get("/")).text == "x[0,true,true]"


async def test_a_full_pool_is_429(http):
    from wippy.registry.entry import Entry

    function = Entry(
        "app:one", "function.lua",
        data={
            "source": http.handler("time.sleep('100ms') return 'done'"), "method": "main", "modules": http.MODULES,
            "pool": {"type": "static", "size": 1, "buffer": 1},
        },
    )  # fmt: skip
    async with http.serve({}, function, *http.endpoint("one", "GET", "/")) as site:
        import asyncio

        responses = await asyncio.gather(*(site.get("/") for _ in range(6)))
        statuses = sorted(r.status_code for r in responses)
        assert statuses == [200, 200, 429, 429, 429, 429]
        assert "pool.max_size" in next(r for r in responses if r.status_code == 429).json()["error"]


async def test_a_timeout_of_the_function_is_504(http, path_kind):
    from wippy.registry.entry import Entry

    function = Entry(
        "app:slow", "function.lua", meta={"options": {"timeout": 20}},
        data={"source": http.handler("res:write('half') time.sleep('1h')"), "method": "main", "modules": http.MODULES},
    )  # fmt: skip
    async with http.serve({}, function, *http.endpoint("slow", "GET", "/")) as site:
        response = await site.get("/")
        assert response.status_code == 504
        assert "timed out" in response.json()["error"]


async def test_a_function_that_waits_for_nothing_is_500(http, path_kind):
    async with http.serve({"GET /": "channel.new():receive()"}) as site:
        response = await site.get("/")
        assert response.status_code == 500
        assert "blocked" in response.json()["error"]


NAMES = """
local http, names = require("http"), {}
for _, group in ipairs({"METHOD", "STATUS", "CONTENT", "TRANSFER", "ERROR"}) do
  for name, value in pairs(http[group]) do names[group .. "." .. name] = value end
end
return names
"""


async def test_the_names_of_the_module():
    names = await run_lua(NAMES, modules=["http"])
    methods = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}
    errors = {"PARSE_FAILED", "INVALID_STATE", "WRITE_FAILED", "STREAM_ERROR"}
    statuses = {
        "OK": 200, "CREATED": 201, "ACCEPTED": 202, "NO_CONTENT": 204, "PARTIAL_CONTENT": 206, "MOVED_PERMANENTLY": 301,
        "FOUND": 302, "SEE_OTHER": 303, "NOT_MODIFIED": 304, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308,
        "BAD_REQUEST": 400, "UNAUTHORIZED": 401, "PAYMENT_REQUIRED": 402, "FORBIDDEN": 403, "NOT_FOUND": 404,
        "METHOD_NOT_ALLOWED": 405, "NOT_ACCEPTABLE": 406, "CONFLICT": 409, "GONE": 410, "UNPROCESSABLE": 422,
        "TOO_MANY_REQUESTS": 429, "INTERNAL_ERROR": 500, "INTERNAL_SERVER_ERROR": 500, "NOT_IMPLEMENTED": 501,
        "BAD_GATEWAY": 502, "SERVICE_UNAVAILABLE": 503, "GATEWAY_TIMEOUT": 504, "VERSION_NOT_SUPPORTED": 505,
    }  # fmt: skip
    contents = {
        "JSON": JSON, "FORM": "application/x-www-form-urlencoded", "MULTIPART": "multipart/form-data", "TEXT": "text/plain",
        "STREAM": "application/octet-stream",
    }  # fmt: skip
    assert names == {
        **{f"METHOD.{name}": name for name in methods},
        **{f"STATUS.{name}": value for name, value in statuses.items()},
        **{f"CONTENT.{name}": value for name, value in contents.items()},
        **{f"ERROR.{name}": name for name in errors},
        "TRANSFER.CHUNKED": "chunked",
        "TRANSFER.SSE": "sse",
    }
