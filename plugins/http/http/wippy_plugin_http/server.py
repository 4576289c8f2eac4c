"""An http.service as a service: its listener, its routes, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from wippy.errors import INVALID, UNAVAILABLE, Error
from wippy.registry.entry import Entry
from wippy.sandbox.codec import pack
from wippy_plugin_http.asgi import Application
from wippy_plugin_http.config import ServiceConfig, Timeouts, parse_address
from wippy_plugin_http.exchange import Bridge
from wippy_plugin_http.routing import Draft, Table
from wippy_plugin_http.tls import make_context

if TYPE_CHECKING:
    from wippy.app import App
    from wippy_plugin_http.protocol import ConnectionState

__all__ = ["HttpServer"]

BACKLOG = 2048

#: Seconds that the answers to cancelled requests have to leave.
LAST_WORDS = 0.5


class HttpServer:
    """A server. `app.resources.get(id, HttpServer).port` is the port it listens on, which `addr` may leave open (`:0`)."""

    def __init__(self, app: App, entry: Entry, config: ServiceConfig) -> None:
        self.app = app
        self.id = entry.id
        self.bridge = Bridge.of(app)
        #: What requests are matched with now, and what registry changes work on.
        self.table = Table()
        self.draft = Draft(lambda other: app.registry.pending.get(other.id) == other)
        self.application = Application(self)
        self.host = ""
        #: The port while it listens, 0 otherwise.
        self.port = 0
        self._state: ConnectionState | None = None
        self._server: asyncio.Server | None = None
        self._date: asyncio.TimerHandle | None = None
        self.configure(entry, config)

    def configure(self, entry: Entry, config: ServiceConfig) -> None:
        """Take a configuration; what the listener depends on counts from the next start.

        Raises Error(Invalid) for an address or TLS settings that make no sense.
        """
        try:
            address = parse_address(config.addr)
        except Error as problem:
            raise Error(f"{entry.where('addr')}: {problem}", INVALID) from None
        if config.network is not None:
            raise Error(f"{entry.where('network')}: {config.network} is no network overlay to listen on", INVALID)
        self._ssl = make_context(entry, config.tls)
        self._entry, self.config, self._address = entry, config, address
        self.timeouts: Timeouts = config.timeouts
        security = config.lifecycle.security
        #: What every request's function runs with, as a dict and as the VM takes it.
        self.options: dict[str, Any] = {"security": security} if security else {}
        self.packed_options = pack(self.options) if self.options else None

    def swap(self) -> None:
        """Let requests see what the draft describes."""
        if self.draft.changed:
            self.table = self.draft.build()

    def describe(self) -> str:
        """Return the URL it can be reached at, for `wippy run`; empty while it does not listen."""
        if not self.port:
            return ""
        host = (
            "localhost" if self.host in ("", "::", "0.0.0.0") else f"[{self.host}]" if ":" in self.host else self.host
        )
        return f"{'https' if self._ssl else 'http'}://{host}:{self.port}"

    # Service ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen.

        Raises Error(Unavailable) when the address cannot be had.
        """
        from uvicorn.config import Config

        from wippy_plugin_http import protocol

        listener = self._bind()
        config = Config(
            app=self.application, http=protocol.Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False,
        )  # fmt: skip
        config.load()
        state = protocol.ConnectionState(self)
        protocol_class = protocol.DirectProtocol if protocol.DIRECT else protocol.Protocol
        loop = asyncio.get_running_loop()
        self._state = state
        self._tell_date()
        self._server = await loop.create_server(
            lambda: protocol_class(config, state, loop), sock=listener, ssl=self._ssl, backlog=BACKLOG
        )
        self.host, self.port = listener.getsockname()[:2]

    def _bind(self) -> socket.socket:
        host, port = self._address
        try:
            if host:
                family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
                listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            else:
                listener = _every_interface(port)
        except OSError as problem:
            hint = "another program listens there: stop it, or change addr" if _in_use(problem) else "change addr"
            # The errno's own text: Python adds the address, which is said already.
            cause = (
                os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem.strerror or str(problem)
            )
            raise Error(
                f"{self._entry.where('addr')}: cannot listen on {self.config.addr}: {cause}; {hint}",
                UNAVAILABLE,
            ) from None
        # Clients that vanished without a word are noticed by the system; accepted sockets inherit this.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return listener

    def _tell_date(self) -> None:
        """Keep the Date header, which has a resolution of a second."""
        assert self._state is not None
        date = formatdate(self.app.clock.wall() / 1e9, usegmt=True).encode()
        self._state.default_headers = [(b"date", date)]
        self._state.default_lines = b"date: %s\r\n" % date
        self._date = asyncio.get_running_loop().call_later(1, self._tell_date)

    async def stop(self) -> None:
        """Accept nothing more and finish what runs; cancelled, cut off what is left (decision 8 of the reference)."""
        server, state, self._server, self._state = self._server, self._state, None, None
        self.port = 0
        if server is None or state is None:
            return
        server.close()
        if self._date is not None:
            self._date.cancel()
        for connection in list(state.connections):
            connection.shutdown()
        try:
            while state.connections:
                state.lost.clear()
                await state.lost.wait()
            if state.tasks:
                await asyncio.wait(state.tasks)
        except asyncio.CancelledError:
            for task in list(state.tasks):
                task.cancel()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=LAST_WORDS)
            for connection in list(state.connections):
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.gather(*state.tasks, return_exceptions=True)
            raise

    async def ended(self) -> None:
        await asyncio.get_running_loop().create_future()


def _every_interface(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be switched off, or taken: IPv4 decides
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    return socket.create_server(("", port), backlog=BACKLOG)


def _in_use(problem: OSError) -> bool:
    return problem.errno == errno.EADDRINUSE
