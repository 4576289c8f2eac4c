"""The service: where it listens, how long it waits, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess

import httpx
import pytest

from wippy.errors import Error
from wippy.registry.entry import Entry
from wippy.testing import app_at, app_of
from wippy_plugin_http import HttpServer

HELLO = {"GET /": "return 'hello'"}


@pytest.mark.parametrize("addr", [":0", "127.0.0.1:0", "localhost:0", "0.0.0.0:0"])
async def test_forms_of_an_address(http, addr):
    async with http.serve(HELLO, service={"addr": addr}) as site:
        assert site.port > 0
        assert (await site.get("/")).text == "hello"
        server = site.server
    assert server.port == 0


async def test_an_address_without_a_host_serves_both_families(http):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    async with http.serve({"GET /": "return req:remote_addr()"}, service={"addr": ":0"}) as site:
        try:
            reader, writer = await asyncio.open_connection("::1", site.port)
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert b"\r\n\r\n[" in await reader.read()
        writer.close()


async def test_a_port_that_is_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        addr = f"127.0.0.1:{taken.getsockname()[1]}"
        fields = f'kind: http.service\n  addr: "{addr}"\n  lifecycle: {{auto_start: true}}'
        index = f"namespace: app\nentries:\n- name: gateway\n  {fields}\n"
        with pytest.raises(Error) as caught:
            async with app_at(tmp_path, {"_index.yaml": index}, virtual=False):
                pass
        message = str(caught.value)
        assert message.startswith("app:gateway (")
        assert f"_index.yaml:5): cannot listen on {addr}: Address already in use; another program" in message
        assert caught.value.kind == "Unavailable"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({}, "addr"),
        ({"addr": "8080"}, "is not host:port"),
        ({"addr": ":0", "network": "app:api"}, "is no network overlay"),
        ({"addr": ":0", "tls": {"mode": "auto"}}, "needs a network overlay"),
        ({"addr": ":0", "tls": {"mode": "manual"}}, "needs `cert` and `key`"),
        ({"addr": ":0", "tls": {"mode": "manual", "cert": "x", "key": "y"}}, "cannot be used"),
        ({"addr": ":0", "tls": {"cert": "x"}}, 'set mode to "manual"'),
        ({"addr": ":0", "tls": {"mode": "other"}}, "mode"),
        ({"addr": ":0", "timeouts": {"read": "5 parsecs"}}, "timeouts"),
    ],
)
async def test_configurations_that_make_no_sense(data, complaint):
    entries = [Entry("app:api", "registry.entry"), Entry("app:gateway", "http.service", data=data)]
    with pytest.raises(Error, match=complaint) as caught:
        async with app_of(*entries, virtual=False):
            pass
    assert "app:gateway" in str(caught.value)


async def test_host_settings_are_accepted(http):
    async with http.serve(HELLO, service={"host": {"buffer_size": 2048, "worker_count": 8}}) as site:
        assert site.app.warnings == []


async def test_a_router_and_an_endpoint_may_name_their_parent_in_the_data(http):
    entries = [
        http.gateway(),
        Entry("app:api", "http.router", data={"server": "gateway", "prefix": "/x"}),
        *http.endpoint("e", "GET", "/", "return 'yes'")[:1],
        Entry("app:e.endpoint", "http.endpoint", data={"router": "api", "method": "get", "path": "/e", "func": "e"}),
    ]
    async with app_of(*entries, virtual=False) as app, httpx.AsyncClient() as client:
        port = app.resources.get("app:gateway", HttpServer).port
        assert (await client.get(f"http://127.0.0.1:{port}/x/e")).text == "yes"


ROUTE = {"method": "GET", "path": "/x", "func": "route0"}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (Entry("app:r", "http.router", data={"prefix": "/x"}), "server"),
        (Entry("app:r", "http.router", data={"server": "none"}), "app:none, which does not exist"),
        (Entry("app:r", "http.router", data={"server": "api"}), "is no http.service"),
        (Entry("app:r", "http.router", data={"server": "gateway", "prefix": "/"}), "clashes with prefix"),
        (Entry("app:r", "http.router", data={"server": "gateway", "prefix": "/{x"}), "whole part"),
        (Entry("app:e", "http.endpoint", data=ROUTE), "router"),
        (Entry("app:e", "http.endpoint", data={**ROUTE, "router": "gateway"}), "is no http.router"),
        (Entry("app:e", "http.endpoint", data={**ROUTE, "router": "api", "func": "nope"}), "app:nope, which does not exist"),
        (Entry("app:e", "http.endpoint", data={**ROUTE, "router": "api", "method": "BREW"}), "BREW"),
        (Entry("app:e", "http.endpoint", data={**ROUTE, "router": "api", "path": "/"}), "app:route0.endpoint"),
        (Entry("app:r", "http.router", data={"server": "gateway", "prefix": "/x", "middleware": ["brew"]}),
         'no plugin provides .*middleware "brew" .*pip install'),
    ],
)  # fmt: skip
async def test_entries_that_make_no_sense(http, entry, complaint):
    with pytest.raises(Error, match=complaint):
        async with http.serve(HELLO, entry):
            pass


async def test_two_servers(http):
    entries = [
        Entry("app:admin", "http.service", data={"addr": "127.0.0.1:0", "lifecycle": {"auto_start": True}}),
        Entry("app:admin_api", "http.router", data={"server": "app:admin"}),
        *http.endpoint("status", "GET", "/", "return 'admin'", router="app:admin_api"),
    ]
    async with http.serve(HELLO, *entries) as site:
        port = site.app.resources.get("app:admin", HttpServer).port
        assert (await site.client.get(f"http://127.0.0.1:{port}/")).text == "admin"
        assert (await site.get("/")).text == "hello"


async def test_the_servers_identity_is_the_functions(http, path_kind):
    """lifecycle.security is the baseline of every request."""
    security = {"actor": {"id": "http-gateway", "meta": {"a": 1}}, "policies": ["app:p"]}
    from wippy.testing import function

    probe = "local kernel = ... return { actor = function() return (kernel.state.proc.actor or {}).id end }"
    from wippy.module import Module

    async with http.serve(
        {"GET /": "return 'x'"}, service={"lifecycle": {"auto_start": True, "security": security}}
    ) as site:
        site.app.code._modules["probe"] = Module("probe", probe)
        await site.app.registry.apply(
            [create(function("app:who", "return function() return probe.actor() end", ["probe"]))]
        )
        await site.app.registry.apply([create(e) for e in http.endpoint("who", "GET", "/who")])
        assert (await site.get("/who")).text == "http-gateway"


def create(entry):
    from wippy.registry.change import Op, Operation

    return Operation(Op.CREATE, entry)


# Stopping --------------------------------------------------------------------------------------------------------------


async def wait_until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def test_stopping_finishes_what_runs_and_accepts_nothing_more(http, path_kind):
    async with http.serve({"GET /": "time.sleep('100ms') return 'finished'"}) as site:
        server, port = site.server, site.port
        _, idle = await site.connect()
        running = asyncio.ensure_future(site.get("/"))
        await wait_until(lambda: server.bridge.exchanges)
        stopping = asyncio.ensure_future(site.app.supervisor.stop("app:gateway"))
        await wait_until(lambda: server.port == 0)
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", port)
        response = await running
        assert response.text == "finished"
        assert response.headers["connection"] == "close"
        await stopping
        idle.close()


async def test_stopping_cancels_what_takes_too_long(http, path_kind):
    lifecycle = {"auto_start": True, "stop_timeout": "50ms"}
    async with http.serve({"GET /": "time.sleep('1h') return 'never'"}, service={"lifecycle": lifecycle}) as site:
        server = site.server
        running = asyncio.ensure_future(site.get("/"))
        await wait_until(lambda: server.bridge.exchanges)
        await site.app.supervisor.stop("app:gateway")
        assert not server.bridge.exchanges
        response = await running
        assert (response.status_code, response.json()) == (503, {"error": "the server stops"})


async def test_stopping_breaks_streams_off(http, path_kind):
    lifecycle = {"auto_start": True, "stop_timeout": "50ms"}
    source = "while true do res:write_event({name = 'tick', data = 1}) time.sleep('5ms') end"
    async with (
        http.serve({"GET /": source}, service={"lifecycle": lifecycle}) as site,
        site.client.stream("GET", "/") as response,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == "event: tick"
        await site.app.supervisor.stop("app:gateway")
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in lines:
                pass


async def test_it_can_start_again(http):
    async with http.serve(HELLO) as site:
        await site.app.supervisor.stop("app:gateway")
        await site.app.supervisor.start("app:gateway")
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{site.port}/")).text == "hello"


# Timeouts and limits -----------------------------------------------------------------------------------------------------


async def closed(reader):
    async with asyncio.timeout(10):
        return await reader.read()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"])
async def test_a_request_that_does_not_arrive_in_time(http, path_kind, sent):
    async with http.serve({"POST /": "req:body() return 'x'"}, service={"timeouts": {"read": "50ms"}}) as site:
        reader, writer = await site.connect()
        writer.write(sent)
        assert await closed(reader) == b""
        writer.close()


async def test_a_read_timeout_does_not_hold_for_slow_functions(http, path_kind):
    async with http.serve({"GET /": "time.sleep('120ms') return 'x'"}, service={"timeouts": {"read": "50ms"}}) as site:
        assert (await site.get("/")).text == "x"


async def test_an_idle_connection_is_closed(http, path_kind):
    async with http.serve(HELLO, service={"timeouts": {"idle": "50ms"}}) as site:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await closed(reader)).endswith(b"hello")
        writer.close()


async def test_a_response_that_takes_too_long(http, path_kind):
    async with http.serve({"GET /": "time.sleep('1h')"}, service={"timeouts": {"write": "50ms"}}) as site:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await closed(reader) == b""
        await wait_until(lambda: not site.server.bridge.exchanges)
        writer.close()


async def test_a_head_without_end_is_refused(http, path_kind):
    async with http.serve(HELLO) as site:
        _, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\n")
        try:
            for _ in range(40):
                writer.write(b"x-filler: " + b"x" * 65536 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            pass  # it did not wait for the end
        await wait_until(lambda: not site.server._state.connections)
        writer.close()


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_400(http, path_kind, text):
    async with http.serve(HELLO) as site:
        assert (await site.raw(text)).startswith(b"HTTP/1.1 400 ")


async def test_old_and_odd_requests(http, path_kind):
    async with http.serve(
        {"GET /a": "return req:path() .. '|' .. (req:query('q') or '-')", "GET /{$}": "return 'root'"}
    ) as site:
        assert (await site.raw(b"GET /a HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\n/a|-")
        assert (await site.raw(b"GET http://other.example/a?q=1 HTTP/1.0\r\n\r\n")).endswith(b"/a|1")
        assert (await site.raw(b"GET /a?q=1#part HTTP/1.0\r\n\r\n")).endswith(b"/a|1")
        assert (await site.raw(b"GET /a?q=a?b HTTP/1.0\r\n\r\n")).endswith(b"/a|a?b")
        assert (await site.raw(b"GET / HTTP/1.0\r\n\r\n")).endswith(b"root")
        assert (await site.raw(b"GET //a HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 301 ")
        body = b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        assert (await site.raw(body)).endswith(b"/a|-")


async def test_redirects_keep_the_query(http, path_kind):
    async with http.serve({"GET /tree/": "return 'x'"}) as site:
        response = await site.get("/tree?a=1")
        assert (response.status_code, response.headers["location"]) == (301, "/tree/?a=1")
        assert (await site.get("/tree?a=1", follow_redirects=True)).text == "x"


# TLS -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    )
    try:
        subprocess.run(command.split(), cwd=directory, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return directory


async def test_tls(http, path_kind, certificate):
    tls = {
        "mode": "manual",
        "cert": (certificate / "cert.pem").read_text(),
        "key": (certificate / "key.pem").read_text(),
    }
    async with http.serve(HELLO, service={"tls": tls}) as site:
        context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
        async with httpx.AsyncClient(verify=context) as client:
            assert (await client.get(f"https://127.0.0.1:{site.port}/")).text == "hello"


async def test_client_certificates(http, certificate):
    cert = (certificate / "cert.pem").read_text()
    tls = {
        "mode": "manual", "cert": cert, "key": (certificate / "key.pem").read_text(), "client_ca": cert,
        "client_auth": "require_and_verify",
    }  # fmt: skip
    async with http.serve(HELLO, service={"tls": tls}) as site:
        context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
        async with httpx.AsyncClient(verify=context) as client:
            with pytest.raises((httpx.HTTPError, ssl.SSLError)):
                await client.get(f"https://127.0.0.1:{site.port}/")
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        async with httpx.AsyncClient(verify=context) as client:
            assert (await client.get(f"https://127.0.0.1:{site.port}/")).text == "hello"


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"client_auth": "request"}, "nobody verified"),
        ({"client_auth": "require_and_verify"}, "needs `client_ca`"),
        ({"client_auth": "verify_if_given", "client_ca": "junk"}, "client_ca cannot be used"),
    ],
)
async def test_client_certificates_that_make_no_sense(http, certificate, more, complaint):
    tls = {
        "mode": "manual",
        "cert": (certificate / "cert.pem").read_text(),
        "key": (certificate / "key.pem").read_text(),
        **more,
    }
    with pytest.raises(Error, match=complaint):
        async with http.serve(HELLO, service={"tls": tls}):
            pass
