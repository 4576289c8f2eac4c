"""The connection: uvicorn's HTTP protocol with our limits, and the direct path.

On the direct path a function that ends at once is answered in the parser's callback: no task and no ASGI events (design,
"Numbers"). It relies on parts of uvicorn that are not its public API, so `DIRECT` says whether this uvicorn has them as
we know them; where it does not, every request takes the ASGI path, with the same answers (tests/test_direct.py).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from wippy_plugin_http.exchange import BODILESS, FAILED, Answer, Exchange, answer_messages
from wippy_plugin_http.middleware import ASGI, Receive, Scope, Send
from wippy_plugin_http.routing import Found, Route

if TYPE_CHECKING:
    from wippy_plugin_http.server import HttpServer

__all__ = ["DIRECT", "ConnectionState", "DirectProtocol", "Protocol"]

log = logging.getLogger("wippy.http")

#: Bytes that request line and headers may have together.
LARGEST_HEAD = 1024 * 1024

_PARTS = (
    "_start_asgi_task",
    "_unset_keepalive_if_required",
    "_unsupported_upgrade_warning",
    "connection_lost",
    "data_received",
    "on_body",
    "on_headers_complete",
    "on_message_begin",
    "on_message_complete",
    "on_response_complete",
    "shutdown",
    "timeout_keep_alive_handler",
)
_CYCLE = {"scope", "transport", "flow", "default_headers", "message_event", "keep_alive", "on_response"}

#: Whether this uvicorn is built as the direct path expects.
DIRECT = (
    all(callable(getattr(HttpToolsProtocol, name, None)) for name in _PARTS)
    and list(inspect.signature(HttpToolsProtocol._start_asgi_task).parameters) == ["self", "cycle", "app"]
    and set(inspect.signature(RequestResponseCycle.__init__).parameters) >= _CYCLE
)


class ConnectionState(ServerState):
    """What a server's connections share."""

    def __init__(self, server: HttpServer) -> None:
        super().__init__()
        self.server = server
        #: The header lines that every direct answer begins with: those of `default_headers`.
        self.default_lines = b""
        self.lost = asyncio.Event()


class Protocol(HttpToolsProtocol):
    """One connection, with the timeouts of the server's entry. Every request takes the ASGI path."""

    server_state: ConnectionState

    def __init__(self, config: Config, state: ConnectionState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config=config, server_state=state, app_state={}, _loop=loop)
        self.listener = state.server
        self._reading: asyncio.TimerHandle | None = None
        # A request is arriving: from its first byte to its last.
        self._receiving = False
        self._head_size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        timeouts = self.listener.timeouts
        if timeouts.read or timeouts.idle:
            self._reading = self.loop.call_later(timeouts.read or timeouts.idle, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._stop_reading_timer()
        self.server_state.lost.set()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._receiving:
            self._stop_reading_timer()
            return
        if self._reading is None and self.listener.timeouts.read:
            self._reading = self.loop.call_later(self.listener.timeouts.read, self._too_slow)
        if self.scope is not None and "method" not in self.scope:
            self._head_size += len(data)
            if self._head_size > LARGEST_HEAD:
                self._refuse_head()

    def on_message_begin(self) -> None:
        self._receiving = True
        self._head_size = 0
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._receiving = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline:
            # Not from here: a client may have sent any number of requests, and each would go a level deeper.
            self.server_state.total_requests += 1
            self.loop.call_soon(self._next_in_pipeline)
            return
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        idle = self.listener.timeouts.idle or self.listener.timeouts.read
        if idle:
            self.timeout_keep_alive_task = self.loop.call_later(idle, self.timeout_keep_alive_handler)

    def _next_in_pipeline(self) -> None:
        if self.pipeline and not self.transport.is_closing():
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.parser.should_upgrade():
            cycle.keep_alive = False  # answered as it is, in HTTP; the parser understands nothing that follows
        self._spawn(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade that nobody offers is the client's business, not the log's."""

    def _spawn(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Run a request as a task, for no longer than timeouts.write says."""
        cycle.scope["wippy.close"] = self.transport.close  # type: ignore[typeddict-unknown-key]
        super()._start_asgi_task(cycle, app)
        if self.listener.timeouts.write:
            timer = self.loop.call_later(self.listener.timeouts.write, self._write_took_too_long, cycle)
            cycle.on_response = _both(timer.cancel, cycle.on_response)

    def _write_took_too_long(self, cycle: RequestResponseCycle) -> None:
        if not cycle.response_complete and not cycle.disconnected:
            log.warning("%s: %s %s was not answered within timeouts.write", self.listener.id, *_request_line(cycle))
            self.transport.abort()

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _too_slow(self) -> None:
        self._reading = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse_head(self) -> None:
        self.transport.write(STATUS_LINE[431] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


class DirectProtocol(Protocol):
    """Answers in the parser's callback what a function says at once."""

    # Whether the request that is being parsed was answered before it needed a cycle of its own.
    _answered = False
    # What the cycle that is about to be made has to run: its function began already.
    _begun: ASGI | None = None
    # A request whose body is still being parsed: it starts when that is there, or when there is no more to parse.
    _held: RequestResponseCycle | None = None

    def on_headers_complete(self) -> None:
        cycle = self.cycle
        free = cycle is None or cycle.response_complete
        if free and not self.flow.write_paused and not self.parser.should_upgrade():
            method = self.parser.get_method()
            # A target that is no plain path, and a request with a body, need uvicorn's own preparation.
            if (method == b"GET" or method == b"HEAD") and self.url.startswith(b"/") and b"#" not in self.url:
                self._answered = self._begin_early(method.decode("ascii"))
                if self._answered:
                    return
        super().on_headers_complete()

    def _begin_early(self, method: str) -> bool:
        """Begin a request that has no cycle yet, and needs none if its function ends at once; tells whether it did."""
        scope = self.scope
        raw_path, _, scope["query_string"] = self.url.partition(b"?")
        found = self._find(method, raw_path)
        if found is None:
            return False
        scope["method"], scope["raw_path"] = method, raw_path
        exchange = Exchange(self.listener.bridge, scope)  # type: ignore[arg-type]
        try:
            answer = self.listener.bridge.begin(exchange, *found, self.listener.packed_options)
        except Exception:  # it would become a 400 in the parser
            log.exception("%s: %s failed", self.listener.id, method)
            answer = FAILED
        if answer is None:
            self._begun = exchange.follow
        elif b"connection: " in answer[3]:
            self._begun = _sender(answer)
        else:
            keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
            self._reply(method, keep, answer)
            return True
        return False

    def _find(self, method: str, raw_path: bytes) -> tuple[Route, tuple[bytes, ...]] | None:
        """Return the route of a request that can be answered here; None for one that needs the ASGI path."""
        if self.listener.app.interceptors:
            return None
        table = self.listener.table
        route: Route | None = table.literal.get((method, raw_path))
        if route is not None:
            return (route, ()) if route.router.plain else None
        found = table.find(method, raw_path)[1]
        return found if isinstance(found, Found) and found.route.router.plain else None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            self._spawn(cycle, begun)
        elif app is not self.app or self.parser.should_upgrade():
            super()._start_asgi_task(cycle, app)
        elif self._receiving and cycle.more_body:
            self._held = cycle
        else:
            self._begin(cycle)

    def on_body(self, body: bytes) -> None:
        if not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._answered:
            self._answered = self._receiving = False
            return
        super().on_message_complete()
        if self._held is not None:
            self._begin_held()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None:
            self._begin_held()

    def _begin_held(self) -> None:
        cycle, self._held = self._held, None
        assert cycle is not None
        if not cycle.disconnected:
            self._begin(cycle)

    def _begin(self, cycle: RequestResponseCycle) -> None:
        """Begin a request that has a cycle: one with a body, or one that waited in the pipeline."""
        scope = cycle.scope
        found = self._find(scope["method"], scope["raw_path"])
        if found is None:
            self._spawn(cycle, self.app)
            return
        exchange = Exchange(self.listener.bridge, scope, cycle)  # type: ignore[arg-type]
        try:
            answer = self.listener.bridge.begin(exchange, *found, self.listener.packed_options)
        except Exception:
            log.exception("%s: %s failed", self.listener.id, scope["method"])
            answer = FAILED
        if answer is None:
            self._spawn(cycle, exchange.follow)
        elif self.flow.write_paused or b"connection: " in answer[3]:
            self._spawn(cycle, _sender(answer))
        else:
            cycle.response_started = cycle.response_complete = True
            if not cycle.disconnected:
                self._reply(scope["method"], cycle.keep_alive, answer)

    def _reply(self, method: str, keep: bool, answer: Answer) -> None:
        body, status, content_type, lines = answer
        if self.transport.is_closing():
            return
        bodiless = status in BODILESS
        self.transport.write(
            b"".join(
                (
                    STATUS_LINE[status],
                    self.server_state.default_lines,
                    b"content-type: %s\r\n" % content_type if content_type else b"",
                    lines,
                    b"" if bodiless else b"content-length: %d\r\n" % len(body),
                    b"\r\n" if keep else b"connection: close\r\n\r\n",
                    b"" if bodiless or method == "HEAD" else body,
                )
            )
        )
        if not keep:
            self.transport.close()
        self.on_response_complete()


def _request_line(cycle: RequestResponseCycle) -> tuple[str, str]:
    return cycle.scope["method"], cycle.scope["path"]


def _sender(answer: Answer) -> ASGI:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in answer_messages(*answer):
            await send(message)

    return app


def _both(first: Any, second: Any) -> Any:
    def call() -> None:
        first()
        second()

    return call
