"""The middleware seam: what a plugin that provides HTTP middleware implements, and how a router's names are resolved.

Entry-point group `wippy.middleware`: name = the name in a router's `middleware` or `post_middleware`, object = a Middleware.
Requests that pass middleware take the ASGI path, never the direct one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from wippy.app import App

__all__ = [
    "ASGI",
    "GROUP",
    "Message",
    "Middleware",
    "Place",
    "Receive",
    "RequestInfo",
    "Scope",
    "Send",
    "chain",
    "load",
]

GROUP = "wippy.middleware"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestInfo(msgspec.Struct):
    """What the runtime knows of a request: `scope["wippy"]` of every request on the ASGI path.

    Post-match middleware finds `endpoint`, `function` and `params` set. What middleware puts into `context`, `actor` and
    `security_scope` is what the endpoint's function runs with; actor and scope have the forms that App.call takes.
    """

    server: str
    router: str = ""
    endpoint: str = ""
    function: str = ""
    params: dict[str, str] = {}
    context: dict[str, Any] = {}
    actor: Any = None
    security_scope: Any = None


class Place(msgspec.Struct, frozen=True):
    """Where a middleware stands: the router that lists it, before (`pre`) or after the route is matched."""

    app: Any
    router: str
    pre: bool


class Middleware(Protocol):
    """Wraps the handling of requests. Called once for each router that lists it, whenever that router changes."""

    def wrap(self, inner: ASGI, options: Mapping[str, Any], place: Place) -> ASGI:
        """Return an ASGI application that does something around `inner`.

        `options` are those of the router as they are written. Raises Error(Invalid) for options that make no sense: the
        change to the router is rejected then.
        """


def load(app: App, names: Iterable[str], where: str) -> list[Middleware]:
    """Return the middleware behind names.

    Raises Error(NotFound) that says what to install for one that no plugin provides.
    """
    return [app.plugins.load(GROUP, name, where) for name in names]


def chain(inner: ASGI, middleware: Iterable[Middleware], options: Mapping[str, Any], place: Place) -> ASGI:
    """Wrap an application in middleware, the first one outermost."""
    for one in reversed(list(middleware)):
        inner = one.wrap(inner, options, place)
    return inner
