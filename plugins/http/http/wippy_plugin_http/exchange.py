"""Exchanges: requests whose function runs, and the bridge over which they and the VM talk.

One call goes into the VM with everything as bytes; most of the time its return is the whole answer. What a function needs
beyond that it looks up through callbacks, which only remember or find something and never call into the VM.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import unquote_to_bytes
from weakref import WeakKeyDictionary

from lupa import lua54

from wippy.module import lua_source
from wippy.scheduler.worker import FIXED_SLICE, INLINE_SLICE, NO_LIMIT
from wippy_plugin_http.body import Body
from wippy_plugin_http.middleware import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from wippy.app import App
    from wippy_plugin_http.multipart import Upload
    from wippy_plugin_http.routing import Route

__all__ = ["BODILESS", "FAILED", "Answer", "Bridge", "Exchange", "answer_messages"]

log = logging.getLogger("wippy.http")

#: Body, status, content type ("" for none), header lines.
Answer = tuple[bytes, int, bytes, bytes]

#: Bytes of a response that may wait for the client before its function waits too.
HIGH_WATER = 64 * 1024

BODILESS = (204, 304)
STOPPED: Answer = (b'{"error":"the server stops"}', 503, b"application/json", b"connection: close\r\n")
FAILED: Answer = (b'{"error":"internal server error"}', 500, b"application/json", b"")


class Incoming(Protocol):
    """What uvicorn has received of a request's body."""

    body: bytearray
    more_body: bool


class Exchange:
    """One request while its function runs. `cycle` is uvicorn's, where the request came by the direct path."""

    __slots__ = (
        "_body", "_changed", "_drained", "_out", "_size", "bridge", "broken", "cycle", "ended", "gone", "id", "scope", "uploads",
    )  # fmt: skip

    def __init__(self, bridge: Bridge, scope: Scope, cycle: Incoming | None = None) -> None:
        self.bridge = bridge
        self.scope = scope
        self.cycle = cycle
        self.id = 0
        #: The call is over; `broken` tells that it failed when part of its response had left.
        self.ended = self.broken = False
        self.gone = False
        self.uploads: list[Upload] = []
        self._body: Body | None = None
        self._out: deque[Message] | None = None
        self._size = 0
        self._changed: asyncio.Event | None = None
        self._drained: asyncio.Event | None = None

    @property
    def body(self) -> Body:
        """What the client sends, as far as it is not in `cycle`."""
        if self._body is None:
            self._body = Body()
        return self._body

    # What the function sends -----------------------------------------------------------------------------------------

    def put(self, *messages: Message) -> bool:
        """Queue messages for the client; tells whether there is room for more."""
        if self._out is None:
            self._out = deque()
        self._out.extend(messages)
        self._size += sum(len(m.get("body", b"")) for m in messages)
        self.changed()
        return self._size < HIGH_WATER

    def changed(self) -> None:
        if self._changed is not None:
            self._changed.set()

    async def drain(self) -> None:
        """Wait until the client took what was queued."""
        if self._size and not self.gone:
            if self._drained is None:
                self._drained = asyncio.Event()
            self._drained.clear()
            await self._drained.wait()

    async def follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the function sends until it has ended: an ASGI application for this one request."""
        self._changed = asyncio.Event()
        self.cycle = None  # from here on the body comes through `receive`
        started = False
        watch = asyncio.get_running_loop().create_task(self._watch(self.body, receive))
        try:
            while not self.gone:
                while self._out:
                    message = self._out.popleft()
                    started = True
                    await send(message)
                    self._size -= len(message.get("body", b""))
                if self._drained is not None and not self._size:
                    self._drained.set()
                if self.ended:
                    break
                self._changed.clear()
                await self._changed.wait()
            if self.broken and not self.gone:
                await self._break_off(scope, watch)
        except asyncio.CancelledError:  # the server stops, and this took too long
            self.bridge.cancel(self, b"the server stops")
            if started:
                raise
            for message in answer_messages(*STOPPED):
                await send(message)
        finally:
            watch.cancel()
            self.close()

    async def _break_off(self, scope: Scope, watch: asyncio.Task[None]) -> None:
        """End a response that cannot be completed, so that the client does not take it for whole."""
        close: Callable[[], None] | None = scope.get("wippy.close")
        if close is None:
            raise RuntimeError("the function failed after part of its response had left")
        close()
        await asyncio.wait([watch])

    async def _watch(self, body: Body, receive: Receive) -> None:
        """Take the body as there is room for it, and notice when the client goes."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            if not body.complete:
                body.feed(message.get("body", b""), message.get("more_body", False))
            await body.room()
        if not self.ended:
            self.gone = True
            body.lose()
            self.bridge.cancel(self, b"the client is gone")
        self.changed()

    def close(self) -> None:
        """Let go of everything that belongs to the request."""
        self.bridge.forget(self)
        if self._drained is not None:
            self._drained.set()
        for upload in self.uploads:
            upload.close()


class Bridge:
    """An App's exchanges, and the VM in the event loop that serves them."""

    _all: ClassVar[WeakKeyDictionary[App, Bridge]] = WeakKeyDictionary()

    @classmethod
    def of(cls, app: App) -> Bridge:
        """Return the App's bridge, made the first time."""
        bridge = cls._all.get(app)
        if bridge is None:
            bridge = cls._all[app] = cls(app)
        return bridge

    def __init__(self, app: App) -> None:
        self._node = node = app.node
        self.exchanges: dict[int, Exchange] = {}
        self._last_id = 0
        self._serve, self._cancel, connect = node.extend("http", lua_source(__package__, "serve.lua"))
        real = app.clock.real
        callbacks: tuple[Callable[..., Any], ...] = (
            node.wake,
            self._answer,
            self._finish,
            self._send,
            self._header,
            self._headers,
            self._peer,
            self._body,
        )
        connect(NO_LIMIT if real else FIXED_SLICE, INLINE_SLICE if real else 0.0, *map(_guarded, callbacks))

    def begin(
        self, exchange: Exchange, route: Route, params: tuple[bytes, ...], options: bytes | None
    ) -> Answer | None:
        """Run the function of a route; returns the answer if it came at once, else `exchange.follow` has to be run."""
        self._last_id = exchange_id = self._last_id + 1
        exchange.id = exchange_id
        self.exchanges[exchange_id] = exchange
        scope = exchange.scope
        path = scope["raw_path"]
        if b"%" in path:
            path = unquote_to_bytes(path)
        try:
            result = self._serve(
                exchange_id, route.function_bytes, _METHODS[scope["method"]], path, scope["query_string"], route.names, options,
                *params,
            )  # fmt: skip
        except lua54.LuaError as problem:
            log.critical("the VM failed in the kernel's own code", exc_info=True)
            memory = isinstance(problem, lua54.LuaMemoryError)
            self._node.inline_vm.panic(b"not enough memory" if memory else str(problem).encode(errors="replace"))
            self._node.wake()
            result = FAILED
        if type(result) is tuple:
            del self.exchanges[exchange_id]
            return result
        return None

    def cancel(self, exchange: Exchange, reason: bytes) -> None:
        """End the call of an exchange that nobody waits for any more. Never called from inside the VM."""
        if not exchange.ended:
            exchange.ended = True
            self._cancel(exchange.id, reason)
            self._node.wake()

    def forget(self, exchange: Exchange) -> None:
        self.exchanges.pop(exchange.id, None)

    # What the VM calls ------------------------------------------------------------------------------------------------

    def _answer(self, exchange_id: int, *answer: Any) -> None:
        exchange = self.exchanges[exchange_id]
        exchange.ended = True
        exchange.put(*answer_messages(*answer))

    def _finish(self, exchange_id: int, body: bytes, failed: bool) -> None:
        exchange = self.exchanges[exchange_id]
        exchange.ended, exchange.broken = True, failed
        exchange.put({"type": "http.response.body", "body": body, "more_body": failed})

    def _send(
        self, exchange_id: int, body: bytes, status: int | None = None, content_type: bytes = b"", lines: bytes = b""
    ) -> bool:
        exchange = self.exchanges[exchange_id]
        messages: list[Message] = []
        if status is not None:
            messages.append({"type": "http.response.start", "status": status, "headers": _headers(content_type, lines)})
        messages.append({"type": "http.response.body", "body": body, "more_body": True})
        return exchange.put(*messages)

    def _header(self, exchange_id: int, name: bytes) -> bytes | None:
        for key, value in self.exchanges[exchange_id].scope["headers"]:
            if key == name:
                return value  # type: ignore[no-any-return]
        return None

    def _headers(self, exchange_id: int) -> bytes:
        return b"".join(b"%s\n%s\n" % pair for pair in self.exchanges[exchange_id].scope["headers"])

    def _peer(self, exchange_id: int) -> bytes | None:
        client = self.exchanges[exchange_id].scope.get("client")
        if client is None:
            return None
        host = client[0]
        return (f"[{host}]:{client[1]}" if ":" in host else f"{host}:{client[1]}").encode()

    def _body(self, exchange_id: int) -> bytes | None:
        cycle = self.exchanges[exchange_id].cycle
        if cycle is None or cycle.more_body:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        return body


_METHODS = {
    name: name.encode() for name in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT")
}


def _guarded(callback: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            return callback(*args)
        except KeyError:  # the exchange is over
            return None
        except Exception:  # an exception must never reach Lua: it would carry its frames along
            log.exception("a callback of the HTTP bridge failed")
            return None

    return call


def _headers(content_type: bytes, lines: bytes) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", content_type)] if content_type else []
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        headers.append((name, value))
    return headers


def answer_messages(body: bytes, status: int, content_type: bytes, lines: bytes) -> tuple[Message, Message]:
    """Return a whole answer as ASGI messages."""
    headers = _headers(content_type, lines)
    if status in BODILESS:
        body = b""
    else:
        headers.append((b"content-length", b"%d" % len(body)))
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": body, "more_body": False}
