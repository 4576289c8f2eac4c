"""The kinds http.service, http.router and http.endpoint."""

from __future__ import annotations

from typing import Any

import msgspec

from wippy.errors import CONFLICT, INVALID, Error
from wippy.kind import ConfigType, Kind
from wippy.registry.entry import Entry
from wippy_plugin_http.config import EndpointConfig, RouterConfig, ServiceConfig
from wippy_plugin_http.middleware import Place, chain, load
from wippy_plugin_http.routing import EndpointDraft, RouterDraft
from wippy_plugin_http.server import HttpServer

__all__ = ["EndpointKind", "RouterKind", "ServiceKind"]


class HttpKind(Kind[ConfigType]):
    """What the three share: a change that was accepted shows in all servers' tables at once."""

    def committed(self) -> None:
        for server in self.app.resources.all(HttpServer).values():
            server.swap()

    def server_of(self, router_id: str) -> HttpServer | None:
        """Return the server that has a router."""
        servers = self.app.resources.all(HttpServer).values()
        return next((server for server in servers if router_id in server.draft.routers), None)


class ServiceKind(HttpKind[ServiceConfig]):
    """http.service: a listener, its routes, its life."""

    config = ServiceConfig

    async def add(self, entry: Entry, config: ServiceConfig) -> None:
        server = HttpServer(self.app, entry, config)
        self.app.resources.put(entry.id, server)
        try:
            await self.app.supervisor.add(entry.id, server, config.lifecycle)
        except BaseException:
            self.app.resources.remove(entry.id)
            raise

    async def update(self, entry: Entry, config: ServiceConfig, before: Entry) -> None:
        """Take what can be changed while it runs; the listener starts anew only where its address or TLS changed."""
        server = self.app.resources.get(entry.id, HttpServer)
        old = server.config
        if config.listener() == old.listener():
            lifecycle = old.lifecycle
            for field in msgspec.structs.fields(type(lifecycle)):
                setattr(lifecycle, field.name, getattr(config.lifecycle, field.name))
            server.configure(entry, msgspec.structs.replace(config, lifecycle=lifecycle))
            return
        server.configure(entry, config)
        supervisor = self.app.supervisor
        await supervisor.remove(entry.id)
        try:
            await supervisor.add(entry.id, server, config.lifecycle)
        except BaseException:
            server.configure(before, old)
            await supervisor.add(entry.id, server, old.lifecycle)
            raise

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
        self.app.resources.remove(entry.id)


class RouterKind(HttpKind[RouterConfig]):
    """http.router: endpoints below one prefix, and the middleware around them."""

    config = RouterConfig
    meta_fields = ("server",)

    async def add(self, entry: Entry, config: RouterConfig) -> None:
        server = self._server(entry, config)
        server.draft.add_router(self._draft(server, entry, config))

    async def update(self, entry: Entry, config: RouterConfig, before: Entry) -> None:
        """Replace the router's own settings; its endpoints stay."""
        server = self._server(entry, config)
        draft = self._draft(server, entry, config)
        old_server = self.server_of(entry.id)
        assert old_server is not None
        old = old_server.draft.remove_router(entry.id)
        draft.endpoints = old.endpoints
        try:
            server.draft.add_router(draft)
        except Error:
            old_server.draft.add_router(old)
            raise

    async def delete(self, entry: Entry) -> None:
        server = self.server_of(entry.id)
        if server is None:
            return
        pending = self.app.registry.pending
        used = [e for e, draft in server.draft.routers[entry.id].endpoints.items() if pending.get(e) == draft.entry]
        if used:
            raise Error(f"{entry.where()} still has endpoints ({', '.join(sorted(used))}): delete them first", CONFLICT)
        server.draft.remove_router(entry.id)

    def _server(self, entry: Entry, config: RouterConfig) -> HttpServer:
        try:
            return self.app.resources.get(str(config.server), HttpServer)
        except Error:
            raise Error(f"{entry.where('server')}: server {config.server} is no http.service", INVALID) from None

    def _draft(self, server: HttpServer, entry: Entry, config: RouterConfig) -> RouterDraft:
        app, application = self.app, server.application
        pre = load(app, config.middleware, entry.where("middleware"))
        post = load(app, config.post_middleware, entry.where("post_middleware"))
        return RouterDraft(
            entry,
            config,
            chain(application.match, pre, config.options, Place(app, entry.id, pre=True)),
            chain(application.run, post, config.post_options, Place(app, entry.id, pre=False)),
        )


class EndpointKind(HttpKind[EndpointConfig]):
    """http.endpoint: a method and a path that a function answers."""

    config = EndpointConfig
    meta_fields = ("router",)

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        # Endpoint id -> router id, as the drafts have it.
        self._router_of: dict[str, str] = {}

    async def add(self, entry: Entry, config: EndpointConfig) -> None:
        router = str(config.router)
        server = self.server_of(router)
        if server is None:
            raise Error(f"{entry.where('router')}: router {router} is no http.router", INVALID)
        server.draft.add_endpoint(EndpointDraft(entry, config))
        self._router_of[entry.id] = router

    async def update(self, entry: Entry, config: EndpointConfig, before: Entry) -> None:
        """Replace the endpoint in the draft: requests see the old one until the change is accepted."""
        old = self._take(before)
        try:
            await self.add(entry, config)
        except Error:
            if old is not None:
                await self.add(old.entry, old.config)
            raise

    async def delete(self, entry: Entry) -> None:
        self._take(entry)

    def _take(self, entry: Entry) -> EndpointDraft | None:
        router = self._router_of.pop(entry.id)
        server = self.server_of(router)
        if server is None:
            return None  # its router went in the same change
        endpoint = server.draft.routers[router].endpoints[entry.id]
        server.draft.remove_endpoint(router, entry.id)
        return endpoint
