"""HTTP: the kinds http.service, http.router and http.endpoint, and the Lua module http."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wippy.module import Module, lua_sources
from wippy.scheduler.commands import Command
from wippy_plugin_http.kinds import EndpointKind, RouterKind, ServiceKind
from wippy_plugin_http.middleware import Middleware, Place, RequestInfo
from wippy_plugin_http.server import HttpServer

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["EndpointKind", "HttpServer", "Middleware", "Place", "RequestInfo", "RouterKind", "ServiceKind", "http"]


def _commands(app: "App") -> Mapping[str, Command]:
    from wippy_plugin_http.commands import make_commands

    return make_commands(app)


http = Module("http", lua_sources(__package__, "request.lua", "response.lua", "http.lua"), _commands)
