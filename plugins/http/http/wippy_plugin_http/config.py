"""The typed configuration of http.service, http.router and http.endpoint (manual pages http/server, router, endpoint)."""

from __future__ import annotations

import os
from typing import Any, Literal

import msgspec

from wippy.errors import INVALID, Error
from wippy.kind import Duration, Ref
from wippy.supervisor import Lifecycle

__all__ = ["EndpointConfig", "HostSettings", "RouterConfig", "ServiceConfig", "Timeouts", "TlsConfig", "parse_address"]


class Timeouts(msgspec.Struct):
    """Seconds; 0 means no limit. Without `idle` a connection may idle as long as a request may take to read."""

    read: Duration = Duration(0)
    write: Duration = Duration(0)
    idle: Duration = Duration(0)


class HostSettings(msgspec.Struct):
    """The message relay between HTTP components and processes: messages it holds, and how many it handles at once."""

    buffer_size: int = 1024
    worker_count: int = msgspec.field(default_factory=lambda: os.cpu_count() or 1)


class TlsConfig(msgspec.Struct):
    """TLS termination. `cert`, `key` and `client_ca` hold PEM text."""

    mode: Literal["", "manual", "auto"] = ""
    cert: str = ""
    key: str = ""
    client_ca: str = ""
    client_auth: Literal["", "request", "require_any", "verify_if_given", "require_and_verify"] = ""


class ServiceConfig(msgspec.Struct, kw_only=True):
    """Fields of http.service."""

    addr: str
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)
    host: HostSettings = msgspec.field(default_factory=HostSettings)
    tls: TlsConfig = msgspec.field(default_factory=TlsConfig)
    network: Ref | None = None
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)

    def listener(self) -> tuple[Any, ...]:
        """Return what the listening socket depends on: while this stays, the server goes on as it is."""
        return self.addr, msgspec.structs.astuple(self.tls), self.network


class RouterConfig(msgspec.Struct, kw_only=True):
    """Fields of http.router; `server` usually stands in `meta`."""

    server: Ref
    prefix: str = ""
    middleware: list[str] = []
    options: dict[str, Any] = {}
    post_middleware: list[str] = []
    post_options: dict[str, Any] = {}


class EndpointConfig(msgspec.Struct, kw_only=True):
    """Fields of http.endpoint; `router` usually stands in `meta`."""

    router: Ref
    method: str
    path: str
    func: Ref


def parse_address(addr: str) -> tuple[str, int]:
    """Split a listen address (":8080", "127.0.0.1:0", "[::1]:80") into host and port; "" means every interface.

    Raises Error(Invalid).
    """
    host, colon, port = addr.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""  # an IPv6 address without brackets: nobody can tell where the port begins
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Error(f'addr "{addr}" is not host:port, as in ":8080", "127.0.0.1:8080" or "[::1]:8080"', INVALID)
    return host, int(port)
