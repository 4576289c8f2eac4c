"""Registry changes while requests come: all of a change at once, and no request lost."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from wippy.errors import Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.testing import function


def create(*entries):
    return [Operation(Op.CREATE, entry) for entry in entries]


def update(site, *entries):
    return [Operation(Op.UPDATE, entry, site.app.registry.get(entry.id)) for entry in entries]


def delete(site, *ids):
    return [Operation(Op.DELETE, site.app.registry.get(entry_id)) for entry_id in ids]


async def test_endpoints_come_change_and_go(http):
    async with http.serve() as site:
        apply = site.app.registry.apply
        assert (await site.get("/new")).status_code == 404
        added = http.endpoint("new", "GET", "/new", "return 'one'")
        await apply(create(*added))
        assert (await site.get("/new")).text == "one"
        await apply(update(site, function("app:new", http.handler("return 'two'"), http.MODULES)))
        assert (await site.get("/new")).text == "two"
        await apply(update(site, *http.endpoint("new", "POST", "/moved")))
        assert (await site.get("/new")).status_code == 404
        assert (await site.post("/moved")).text == "two"
        await apply(delete(site, "app:new.endpoint"))
        assert (await site.post("/moved")).status_code == 404


async def test_a_rejected_change_leaves_everything_as_it_was(http):
    async with http.serve({"GET /a": "return 'a'"}) as site:
        change = [
            *create(*http.endpoint("b", "GET", "/b", "return 'b'")),
            *update(site, *http.endpoint("route0", "GET", "/moved")),
            *create(*http.endpoint("c", "GET", "/moved", func="app:route0")),
        ]
        with pytest.raises(Error, match="clashes"):
            await site.app.registry.apply(change)
        assert (await site.get("/a")).text == "a"
        assert (await site.get("/b")).status_code == 404
        await site.app.registry.apply(create(*http.endpoint("b", "GET", "/moved", "return 'b'")))
        assert (await site.get("/moved")).text == "b"
        assert (await site.get("/a")).text == "a"


async def test_endpoints_may_swap_their_paths(http):
    async with http.serve({"GET /a": "return 'first'", "GET /b": "return 'second'"}) as site:
        await site.app.registry.apply(
            update(site, *http.endpoint("route0", "GET", "/b"), *http.endpoint("route1", "GET", "/a"))
        )
        assert (await site.get("/a")).text == "second"
        assert (await site.get("/b")).text == "first"


async def test_routers_move_with_their_endpoints(http):
    async with http.serve({"GET /a": "return 'a'"}, http.router("second", "/second")) as site:
        apply = site.app.registry.apply
        await apply(update(site, http.router("api", "/v1")))
        assert (await site.get("/a")).status_code == 404
        assert (await site.get("/v1/a")).text == "a"
        with pytest.raises(Error, match="clashes with prefix"):
            await apply(update(site, http.router("api", "/second/")))
        assert (await site.get("/v1/a")).text == "a"
        await apply(update(site, *http.endpoint("route0", "GET", "/b", router="app:second")))
        assert (await site.get("/second/b")).text == "a"
        assert (await site.get("/v1/a")).status_code == 404
        await apply(delete(site, "app:api"))
        assert (await site.get("/second/b")).text == "a"
        await apply(delete(site, "app:route0.endpoint", "app:second"))
        assert (await site.get("/second/b")).status_code == 404


async def test_a_router_with_endpoints_stays(http):
    async with http.serve({"GET /a": "return 'a'"}) as site:
        with pytest.raises(Error, match=r"app:route0\.endpoint"):
            await site.app.registry.apply(delete(site, "app:api"))
        assert (await site.get("/a")).text == "a"


async def test_versions_can_be_re_applied(http):
    async with http.serve({"GET /a": "return 'a'"}) as site:
        first = site.app.registry.current
        await site.app.registry.apply(create(*http.endpoint("b", "GET", "/b", "return 'b'")))
        await site.app.registry.apply_version(first)
        assert (await site.get("/b")).status_code == 404
        await site.app.registry.apply_version(first + 1)
        assert (await site.get("/b")).text == "b"


async def test_settings_of_a_server_change_without_a_restart(http):
    async with http.serve({"GET /": "time.sleep('100ms') return 'x'"}) as site:
        reader, writer = await site.connect()
        port = site.port
        await site.app.registry.apply(update(site, http.gateway(timeouts={"write": "30ms", "idle": "1m"})))
        assert site.port == port
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        await site.app.registry.apply(update(site, http.gateway(lifecycle={"auto_start": True, "stop_timeout": "3s"})))
        assert site.port == port
        assert (await site.get("/")).text == "x"
        writer.close()


async def test_a_changed_address_moves_the_listener(http):
    async with http.serve({"GET /": "time.sleep('50ms') return 'x'"}) as site:
        old = site.port
        running = asyncio.ensure_future(site.get("/"))
        async with asyncio.timeout(10):
            while not site.server.bridge.exchanges:
                await asyncio.sleep(0.002)
        await site.app.registry.apply(update(site, http.gateway(addr="localhost:0")))
        assert (await running).text == "x"
        assert site.port not in (0, old)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://localhost:{site.port}/")).text == "x"
        with pytest.raises(Error, match=r"cannot listen on 203\.0\.113\.1:80"):
            await site.app.registry.apply(update(site, http.gateway(addr="203.0.113.1:80")))
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://localhost:{site.port}/")).text == "x"


async def test_a_server_goes_and_comes(http):
    async with http.serve({"GET /": "return 'x'"}) as site:
        entries = ["app:route0.endpoint", "app:api", "app:gateway"]
        kept = [site.app.registry.get(i) for i in entries]
        await site.app.registry.apply(delete(site, *entries))
        with pytest.raises(Error):
            _ = site.server
        await site.app.registry.apply(create(*kept))
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{site.port}/")).text == "x"


async def test_changes_under_load_lose_no_request(http, path_kind):
    """Function, endpoint and a pair that must change together, again and again, while clients never stop asking."""
    versions = 30

    def pair(number):
        return function("app:both", http.handler(f"return {{part = '{number}', path = req:path()}}"), http.MODULES)

    def target(number):
        return Entry(
            "app:both.endpoint", "http.endpoint", meta={"router": "app:api"},
            data={"method": "GET", "path": f"/both/{number}", "func": "app:both"},
        )  # fmt: skip

    async with http.serve(
        {"GET /steady": "return 'steady'", "GET /slow": "time.sleep('3ms') return 'slow'"}, pair(0), target(0)
    ) as site:
        done = False
        answered = {"/steady": 0, "/slow": 0, "both": 0}

        async def ask(path):
            while not done:
                response = await site.get(path)
                assert response.status_code == 200
                answered[path] += 1

        async def ask_both():
            number = 0
            while not done:
                response = await site.get(f"/both/{number}")
                if response.status_code == 404:
                    number += 1  # it moved on: never back, and never both
                else:
                    # Code that is loaded while the next change comes is the next one's.
                    assert response.json()["path"] == f"/both/{number}"
                    assert int(response.json()["part"]) - number in (0, 1)
                    answered["both"] += 1

        clients = [asyncio.ensure_future(c) for c in (ask("/steady"), ask("/steady"), ask("/slow"), ask_both())]
        try:
            for number in range(1, versions + 1):
                seen = dict(answered)
                await site.app.registry.apply(update(site, pair(number), target(number)))
                async with asyncio.timeout(20):
                    while any(answered[k] == seen[k] for k in answered):
                        for client in clients:
                            if client.done():
                                client.result()  # raises what it failed with
                        await asyncio.sleep(0.001)
            done = True
            await asyncio.gather(*clients)
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
