"""The commands behind the Lua module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wippy.errors import Error
from wippy.scheduler.commands import Call, Command
from wippy_plugin_queue.queue import Queue

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


def commands(app: App) -> Mapping[str, Command]:
    """Return the handlers."""
    get = app.resources.get

    async def publish(_call: Call, queue_id: str, body: Any, headers: Any = None) -> bool:
        await get(queue_id, Queue).publish(body, headers or None)
        return True

    async def info(_call: Call, queue_id: str) -> dict[str, int]:
        return await get(queue_id, Queue).info()

    async def ack(_call: Call, queue_id: str, token: int) -> bool:
        await get(queue_id, Queue).settlements.get(token).ack()
        return True

    async def nack(_call: Call, queue_id: str, token: int) -> bool:
        await get(queue_id, Queue).settlements.get(token).nack(Error("the handler called nack"))
        return True

    return {"queue.publish": publish, "queue.info": info, "queue.ack": ack, "queue.nack": nack}
