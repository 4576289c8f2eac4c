"""The seam that middleware plugins fill: names, order, options, what they see and what they may change."""

from __future__ import annotations

import pytest

from wippy.errors import INVALID, Error
from wippy.plugin import EntryPoint, Plugins, scan
from wippy.testing import function

SEEN = []


class Tag:
    """Adds its name to a response header and to SEEN."""

    def __init__(self, name):
        self.name = name

    def wrap(self, inner, options, place):
        if options.get(f"{self.name}.bad"):
            raise Error(f"{self.name}: bad option", INVALID)

        async def app(scope, receive, send):
            info = scope["wippy"]
            SEEN.append(
                (self.name, place.pre, place.router, info.server, info.endpoint, info.function, dict(info.params))
            )
            if options.get(f"{self.name}.stop"):
                await send({"type": "http.response.start", "status": 418, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
                return
            if options.get(f"{self.name}.identity"):
                info.context = {"user": "ada"}
                info.actor = {"id": "ada", "meta": {}}

            async def tagged(message):
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"x-tag", self.name.encode())]
                await send(message)

            await inner(scope, receive, tagged)

        return app


outer, inner_one, after = Tag("outer"), Tag("inner"), Tag("after")


@pytest.fixture
def plugins(monkeypatch):
    SEEN.clear()
    found = Plugins(
        [
            *scan(),
            *(EntryPoint("wippy.middleware", name, "none:none", "test", "1") for name in ("outer", "inner", "after")),
        ]
    )
    for one in (outer, inner_one, after):
        found._loaded["wippy.middleware", one.name] = one
    return found


def wrapped(http, **options):
    return http.router("wrapped", "/w", middleware=["outer", "inner"], post_middleware=["after"], **options)


async def test_order_and_what_is_known(http, path_kind, plugins):
    entries = [wrapped(http), *http.endpoint("e", "POST", "/{id}", "return req:body() .. ...", router="app:wrapped")]
    async with http.serve({"GET /plain": "return 'plain'"}, *entries, plugins=plugins) as site:
        response = await site.post("/w/7", content=b"body ")
        assert response.text == "body 7"
        assert response.headers.get_list("x-tag") == ["after", "inner", "outer"]
        assert SEEN == [
            ("outer", True, "app:wrapped", "app:gateway", "", "", {}),
            ("inner", True, "app:wrapped", "app:gateway", "", "", {}),
            ("after", False, "app:wrapped", "app:gateway", "app:e.endpoint", "app:e", {"id": "7"}),
        ]
        SEEN.clear()
        missed = await site.get("/w/7")
        assert (missed.status_code, missed.headers.get_list("x-tag")) == (405, ["inner", "outer"])
        assert (await site.request("OPTIONS", "/w/7")).status_code == 204
        assert [name for name, *_ in SEEN] == ["outer", "inner"] * 2
        SEEN.clear()
        assert "x-tag" not in (await site.get("/plain")).headers
        assert SEEN == []


async def test_middleware_may_answer_itself(http, path_kind, plugins):
    entries = [
        wrapped(http, options={"outer.stop": True}),
        *http.endpoint("e", "GET", "/", "return 'never'", router="app:wrapped"),
    ]
    async with http.serve({}, *entries, plugins=plugins) as site:
        assert (await site.get("/w/")).status_code == 418


async def test_what_middleware_sets_is_the_functions(http, plugins):
    entries = [
        wrapped(http, post_options={"after.identity": True}),
        function("app:e", "return function() return require('ctx').get('user') end", ["ctx"]),
        *http.endpoint("e", "GET", "/", router="app:wrapped"),
    ]
    async with http.serve({}, *entries, plugins=plugins) as site:
        assert (await site.get("/w/")).text == "ada"


async def test_streams_pass_through_middleware(http, plugins):
    source = "res:write_event({name = 'a', data = 1}) time.sleep('1ms') res:write_event({name = 'b', data = 2})"
    entries = [wrapped(http), *http.endpoint("e", "GET", "/", source, router="app:wrapped")]
    async with http.serve({}, *entries, plugins=plugins) as site:
        response = await site.get("/w/")
        assert response.text == "event: a\ndata: 1\n\nevent: b\ndata: 2\n\n"
        assert response.headers.get_list("x-tag") == ["after", "inner", "outer"]


async def test_options_that_make_no_sense_reject_the_change(http, plugins):
    from wippy.registry.change import Op, Operation

    async with http.serve({}, plugins=plugins) as site:
        with pytest.raises(Error, match="outer: bad option"):
            await site.app.registry.apply([Operation(Op.CREATE, wrapped(http, options={"outer.bad": True}))])


async def test_interceptors_wrap_calls_from_http(http, path_kind):
    calls = []

    class Interceptor:
        async def around(self, call, proceed):
            calls.append((call.function, call.args))
            if call.args == ("refused",):
                raise Error("quota", "RateLimited")
            call.options["context"] = {"user": "eve"}
            await proceed(call)

    source = "return {(...), require('ctx').get('user')}"
    entries = [
        function("app:e", f"return function(...) {source} end", ["ctx"]),
        *http.endpoint("e", "GET", "/{x}"),
    ]
    async with http.serve({}, *entries) as site:
        site.app.interceptors.append(Interceptor())
        assert (await site.get("/a%20b")).json() == ["a b", "eve"]
        refused = await site.get("/refused")
        assert (refused.status_code, refused.json()) == (429, {"error": "quota", "kind": "RateLimited"})
        assert calls == [("app:e", ("a b",)), ("app:e", ("refused",))]
