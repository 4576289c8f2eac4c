"""A server's routes: the draft that registry changes work on, and the table made of it that requests are matched with.

A change only touches the draft; the table is rebuilt and swapped when the whole change was accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from wippy.errors import ALREADY_EXISTS, Error
from wippy.registry.entry import Entry
from wippy_plugin_http.config import EndpointConfig, RouterConfig
from wippy_plugin_http.middleware import ASGI
from wippy_plugin_http.mux import ANY, Conflicts, Mux, Pattern

__all__ = ["Draft", "Found", "Missed", "Route", "RouterDraft", "RouterTable", "Table", "clean_path", "join_path"]


class Route(msgspec.Struct, eq=False):
    """An endpoint as requests meet it. `names` are the parameters, joined with commas for the VM."""

    endpoint: str
    function: str
    function_bytes: bytes
    names: bytes
    pattern: Pattern
    router: RouterTable


class Found(NamedTuple):
    """A request's route, and its parameters in the order of the path."""

    route: Route
    params: tuple[bytes, ...]


class Missed(NamedTuple):
    """Why a request has no route: the status to answer with, and the headers that belong to it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RouterTable:
    """One router's routes. `pre` and `post` are its chains of middleware; `plain` tells that it has none."""

    def __init__(self, draft: RouterDraft) -> None:
        self.id = draft.entry.id
        self.prefix = draft.prefix
        self.pre = draft.pre
        self.post = draft.post
        self.plain = not draft.config.middleware and not draft.config.post_middleware
        self.mux: Mux[Route] = Mux()

    def find(self, method: str, path: str) -> Found | Missed:
        """Match an escaped path that lies below this router's prefix."""
        cleaned = clean_path(path)
        hit = self.mux.match(method, cleaned)
        if self.mux.redirect(method, cleaned, hit):
            return _redirect(method, cleaned + "/")
        if cleaned != path:
            return _redirect(method, cleaned)
        if hit is not None:
            return Found(hit[1], tuple(p.encode("latin-1") for p in hit[2]))
        allowed = self.mux.allowed(path)
        if not allowed:
            return Missed(404)
        header = (b"allow", ", ".join(sorted({*allowed, "OPTIONS"})).encode())
        # Manual http/endpoint: every path answers OPTIONS, so that CORS middleware has something to stand before.
        return Missed(204 if method == "OPTIONS" else 405, (header,))


class Table:
    """All routes of a server; never changed once requests see it."""

    def __init__(self) -> None:
        #: Routes whose path is one text: the first look-up of every request.
        self.literal: dict[tuple[str, bytes], Route] = {}
        self._prefixes: Mux[RouterTable] = Mux()

    def add(self, router: RouterTable) -> None:
        self._prefixes.add(Pattern.parse(ANY, router.prefix.rstrip("/") + "/"), router)

    def index(self, routes: list[Route]) -> None:
        """Fill `literal`; all routers must be known."""
        for route in routes:
            pattern, path = route.pattern, route.pattern.path.encode()
            if pattern.literal and pattern.method != ANY:
                found = self.find(pattern.method, path)[1]
                if isinstance(found, Found) and found.route is route:
                    self.literal[pattern.method, path] = route

    def find(self, method: str, raw_path: bytes) -> tuple[RouterTable | None, Found | Missed]:
        """Return the router that a request belongs to, which is the one with the most specific prefix, and its route."""
        path = raw_path.decode("latin-1")
        cleaned = clean_path(path)
        inside = self._prefixes.match("GET", cleaned if cleaned.endswith("/") else cleaned + "/")
        if inside is None:
            return None, Missed(404)
        router: RouterTable = inside[1]
        found = router.find(method, path)
        if isinstance(found, Missed) and found.status == 404 and cleaned + "/" == router.prefix.rstrip("/") + "/":
            # The prefix itself, which this router leaves to the one around it.
            around = self._prefixes.match("GET", cleaned)
            if around is not None:
                router = around[1]
                found = router.find(method, path)
        return router, found


def _redirect(method: str, path: str) -> Missed:
    # ServeMux answers 301; a method other than GET and HEAD, and the body, survive only a 308.
    return Missed(301 if method in ("GET", "HEAD") else 308, ((b"location", location(path).encode()),))


def location(path: str) -> str:
    """Return an escaped path as a Location header holds it: nothing in it can be taken for another host."""
    return "".join(c if c in _SAFE else f"%{ord(c):02X}" for c in path)


_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%")


def clean_path(path: str) -> str:
    """Return a path without empty, "." and ".." parts; a "/" at the end stays."""
    if "//" not in path and "/." not in path and path.startswith("/"):
        return path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    slash = "/" if parts and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(parts) + slash


def join_path(prefix: str, path: str) -> str:
    """Join a router's prefix and an endpoint's path with one "/"."""
    prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""
    if not path:
        return prefix or "/"
    return prefix + "/" + path.removeprefix("/")


class RouterDraft:
    """A router under change: its configuration, its chains of middleware, and its endpoints by id."""

    def __init__(self, entry: Entry, config: RouterConfig, pre: ASGI, post: ASGI) -> None:
        self.entry = entry
        self.config = config
        self.pre = pre
        self.post = post
        self.prefix = join_path(config.prefix, "/") if config.prefix.strip("/") else "/"
        self.endpoints: dict[str, EndpointDraft] = {}
        self.conflicts = Conflicts()


class EndpointDraft(NamedTuple):
    """An endpoint under change."""

    entry: Entry
    config: EndpointConfig


class Draft:
    """A server's routers under change. `stays(entry)` tells that an entry is what it will be after the change."""

    def __init__(self, stays: Callable[[Entry], bool]) -> None:
        self._stays = stays
        self.routers: dict[str, RouterDraft] = {}
        self._prefixes = Conflicts()
        self.changed = False

    def add_router(self, router: RouterDraft) -> None:
        """Raises Error(Invalid) for a prefix that makes no sense, Error(AlreadyExists) for one that is taken."""
        pattern = _parse(router.entry, "prefix", ANY, router.prefix)
        for owner in self._prefixes.find(pattern):
            other = self.routers[owner]
            if self._stays(other.entry):
                raise Error(
                    f'{router.entry.where("prefix")}: prefix "{router.config.prefix}" clashes with prefix '
                    f'"{other.config.prefix}" of {other.entry.where("prefix")} on the same server: give one of them another',
                    ALREADY_EXISTS,
                )
        patterns = {owner: self._pattern(router, endpoint) for owner, endpoint in router.endpoints.items()}
        router.conflicts = Conflicts()
        for owner, own in patterns.items():
            router.conflicts.add(owner, own)
        self._prefixes.add(router.entry.id, pattern)
        self.routers[router.entry.id] = router
        self.changed = True

    def remove_router(self, router_id: str) -> RouterDraft:
        self.changed = True
        self._prefixes.remove(router_id)
        return self.routers.pop(router_id)

    def add_endpoint(self, endpoint: EndpointDraft) -> None:
        """Raises Error(Invalid) for a method or path that makes no sense, Error(AlreadyExists) for a clash."""
        router = self.routers[str(endpoint.config.router)]
        pattern = self._pattern(router, endpoint)
        for owner in router.conflicts.find(pattern):
            other = router.endpoints[owner]
            if self._stays(other.entry):
                theirs = self._pattern(router, other)
                raise Error(
                    f'{endpoint.entry.where("path")}: "{pattern.method} {pattern.path}" clashes with '
                    f'"{theirs.method} {theirs.path}" of {other.entry.where("path")}: both match the same requests and '
                    "neither is more specific; change one of them",
                    ALREADY_EXISTS,
                )
        router.conflicts.add(endpoint.entry.id, pattern)
        router.endpoints[endpoint.entry.id] = endpoint
        self.changed = True

    def remove_endpoint(self, router_id: str, endpoint_id: str) -> None:
        router = self.routers[router_id]
        router.conflicts.remove(endpoint_id)
        del router.endpoints[endpoint_id]
        self.changed = True

    @staticmethod
    def _pattern(router: RouterDraft, endpoint: EndpointDraft) -> Pattern:
        return _parse(
            endpoint.entry, "path", endpoint.config.method, join_path(router.config.prefix, endpoint.config.path)
        )

    def build(self) -> Table:
        """Make the table that this draft describes."""
        table = Table()
        routes = []
        for draft in self.routers.values():
            router = RouterTable(draft)
            table.add(router)
            for endpoint in draft.endpoints.values():
                route = self._route(draft, endpoint, router)
                router.mux.add(route.pattern, route)
                routes.append(route)
        table.index(routes)
        self.changed = False
        return table

    def _route(self, draft: RouterDraft, endpoint: EndpointDraft, router: RouterTable) -> Route:
        pattern = self._pattern(draft, endpoint)
        function = str(endpoint.config.func)
        names = ",".join(pattern.names).encode()
        return Route(endpoint.entry.id, function, function.encode(), names, pattern, router)


def _parse(entry: Entry, field: str, method: str, path: str) -> Pattern:
    try:
        return Pattern.parse(method, path)
    except Error as problem:
        what = "method" if problem.message.startswith("method") else field
        raise Error(f"{entry.where(what)}: {problem}", problem.kind) from None
