"""The ASGI path: a server's requests from routing through middleware to the function and back."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from wippy.errors import Error
from wippy.sandbox.codec import pack
from wippy.scheduler.calls import FunctionCall, chain
from wippy_plugin_http.exchange import Answer, Exchange, answer_messages
from wippy_plugin_http.middleware import Receive, RequestInfo, Scope, Send
from wippy_plugin_http.routing import Found, Missed, RouterTable

if TYPE_CHECKING:
    from wippy_plugin_http.server import HttpServer

__all__ = ["Application"]

#: What an interceptor's Error answers, by kind: decision 15 of the reference, as serve.lua does for functions.
_STATUS_OF = {
    "Invalid": 400,
    "PermissionDenied": 403,
    "NotFound": 404,
    "AlreadyExists": 409,
    "Conflict": 409,
    "RateLimited": 429,
    "Unavailable": 503,
    "Timeout": 504,
}


class Application:
    """The ASGI application of one http.service."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = self._server
        method, raw_path = scope["method"], scope["raw_path"]
        route = server.table.literal.get((method, raw_path))
        if route is not None:
            router: RouterTable | None = route.router
            found: Found | Missed = Found(route, ())
        else:
            router, found = server.table.find(method, raw_path)
        if router is None:
            assert isinstance(found, Missed)
            await self._miss(scope, send, found)
        elif not router.plain or server.app.interceptors:
            scope["wippy"] = RequestInfo(server.id, router.id)
            scope["wippy.match"] = router, method, raw_path, found
            await router.pre(scope, receive, send)
        elif isinstance(found, Missed):
            await self._miss(scope, send, found)
        else:
            await self._serve(scope, receive, send, found, server.packed_options)

    async def match(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on after pre-match middleware, which may have changed method and path."""
        router: RouterTable
        found: Found | Missed
        router, method, raw_path, found = scope["wippy.match"]
        if scope["method"] is not method or scope["raw_path"] is not raw_path:
            found = router.find(scope["method"], scope["raw_path"].decode("latin-1"))
        if isinstance(found, Missed):
            await self._miss(scope, send, found)
            return
        route = found.route
        info: RequestInfo = scope["wippy"]
        info.endpoint, info.function = route.endpoint, route.function
        if found.params:
            values = (value.decode(errors="replace") for value in found.params)
            info.params = dict(zip(route.pattern.names, values, strict=True))
        scope["wippy.found"] = found
        await router.post(scope, receive, send)

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the function of the matched route."""
        found: Found = scope["wippy.found"]
        server, info = self._server, scope["wippy"]
        if server.app.interceptors:
            await self._intercept(scope, receive, send, found)
        elif info.context or info.actor is not None or info.security_scope is not None:
            await self._serve(scope, receive, send, found, pack(self._options(info)))
        else:
            await self._serve(scope, receive, send, found, server.packed_options)

    async def _intercept(self, scope: Scope, receive: Receive, send: Send, found: Found) -> None:
        """Run the function inside the interceptors that plugins wrap around calls from outside."""
        started = False

        async def proceed(call: FunctionCall) -> None:
            nonlocal started
            started = True
            params = tuple(str(arg).encode() for arg in call.args)
            packed = pack(call.options) if call.options else None
            await self._serve(scope, receive, send, Found(found.route, params), packed)

        args = tuple(p.decode(errors="replace") for p in found.params)
        try:
            call = FunctionCall(found.route.function, args, self._options(scope["wippy"]))
            await chain(self._server.app.interceptors, call, proceed)
        except Error as problem:
            if started:
                raise
            body = json.dumps({"error": str(problem), **({"kind": problem.kind} if problem.kind else {})}).encode()
            await _answer(send, (body, _STATUS_OF.get(problem.kind, 500), b"application/json", b""))

    def _options(self, info: RequestInfo) -> dict[str, Any]:
        options = dict(self._server.options)
        if info.context:
            options["context"] = info.context
        if info.actor is not None:
            options["actor"] = info.actor
        if info.security_scope is not None:
            options["scope"] = info.security_scope
        return options

    async def _serve(self, scope: Scope, receive: Receive, send: Send, found: Found, options: bytes | None) -> None:
        bridge = self._server.bridge
        exchange = Exchange(bridge, scope)
        answer = bridge.begin(exchange, found.route, found.params, options)
        if answer is None:
            await exchange.follow(scope, receive, send)
        else:
            start, body = answer_messages(*answer)
            await send(start)
            await send(body)

    async def _miss(self, scope: Scope, send: Send, missed: Missed) -> None:
        lines = b""
        for name, value in missed.headers:
            if name == b"location" and scope["query_string"]:
                value += b"?" + scope["query_string"]
            lines += b"%s: %s\r\n" % (name, value)
        phrase = HTTPStatus(missed.status).phrase.lower()
        body = json.dumps({"error": phrase}).encode() if missed.status >= 400 else b""
        await _answer(send, (body, missed.status, b"application/json" if body else b"", lines))


async def _answer(send: Send, answer: Answer) -> None:
    start, body = answer_messages(*answer)
    await send(start)
    await send(body)
