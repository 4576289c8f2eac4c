"""Queues: what a driver offers (`QueueDriver`), the kinds queue.queue and queue.consumer, and the Lua module `queue`."""

from wippy.module import Module, lua_source
from wippy_plugin_queue.codec import JSON, MSGPACK, decode_body, encode_body
from wippy_plugin_queue.commands import commands
from wippy_plugin_queue.consumer import ConsumerConfig, ConsumerKind
from wippy_plugin_queue.protocol import (
    BrokerQueue,
    Delivery,
    Message,
    QueueDriver,
    QueueSpec,
    Receiver,
    Subscription,
)
from wippy_plugin_queue.queue import Queue, QueueConfig, QueueKind

__all__ = [
    "JSON",
    "MSGPACK",
    "BrokerQueue",
    "ConsumerConfig",
    "ConsumerKind",
    "Delivery",
    "Message",
    "Queue",
    "QueueConfig",
    "QueueDriver",
    "QueueKind",
    "QueueSpec",
    "Receiver",
    "Subscription",
    "decode_body",
    "encode_body",
    "module",
]

module = Module(
    name="queue",
    source=lua_source(__package__, "queue.lua"),
    commands=commands,
    permissions={"publish": "queue.publish"},
)
