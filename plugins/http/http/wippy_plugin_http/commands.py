"""The commands behind the module `http`: reading bodies and forms, and waiting for slow clients.

Each returns False where the body is larger than the function allows: the module turns that into its Error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wippy.errors import INTERNAL, Error
from wippy.scheduler.commands import Call, Command
from wippy_plugin_http.body import TooLarge
from wippy_plugin_http.exchange import Bridge, Exchange

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["make_commands"]


def make_commands(app: App) -> Mapping[str, Command]:
    """Return the module's commands for one App."""
    bridge = Bridge.of(app)

    def find(exchange_id: int) -> Exchange:
        exchange = bridge.exchanges.get(exchange_id)
        if exchange is None:
            raise Error("the request is over", INTERNAL, retryable=False)
        return exchange

    async def body(_call: Call, exchange_id: int, limit: int, timeout: int) -> bytes | bool:
        try:
            return await find(exchange_id).body.read(0, limit, timeout / 1000)
        except TooLarge:
            return False

    async def read(_call: Call, exchange_id: int, size: int, limit: int, timeout: int) -> bytes | bool | None:
        try:
            return await find(exchange_id).body.read(size, limit, timeout / 1000) or None
        except TooLarge:
            return False

    async def multipart(_call: Call, exchange_id: int, memory: int, limit: int, timeout: int) -> dict[str, Any] | bool:
        from wippy_plugin_http.multipart import parse_form

        exchange = find(exchange_id)
        content_type = next((v for k, v in exchange.scope["headers"] if k == b"content-type"), b"")
        try:
            form = await parse_form(lambda: exchange.body.read(64 * 1024, limit, timeout / 1000), content_type, memory)
        except TooLarge:
            return False
        exchange.uploads.extend(form.uploads)
        return form.described()

    async def file(_call: Call, exchange_id: int, index: int, position: int, size: int) -> bytes | None:
        return find(exchange_id).uploads[index].read(position, size) or None

    async def drain(_call: Call, exchange_id: int) -> bool:
        await find(exchange_id).drain()
        return True

    return {"http.body": body, "http.read": read, "http.multipart": multipart, "http.file": file, "http.drain": drain}
