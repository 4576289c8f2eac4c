"""What a queue driver offers (manual pages system/queue and guides/queue-consumers).

A driver moves messages whose bodies are opaque bytes. Encoding, attempts before the dead letter queue, delays and
acknowledgement rules are this distribution's; the driver stores, delivers and takes back.

Delivery is at least once: a message leaves the broker only by `ack`. Every delivery is ended by exactly one of `ack`,
`nack` and `release`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

__all__ = ["BrokerQueue", "Delivery", "Message", "QueueDriver", "QueueSpec", "Receiver", "Subscription"]


class Message(msgspec.Struct, frozen=True):
    """A message as brokers carry it. `headers` are plain values by name; `content_type` tells how `body` is encoded."""

    id: str
    body: bytes
    headers: dict[str, Any]
    content_type: str


class QueueSpec(msgspec.Struct, frozen=True):
    """A queue as its entry declares it: the entry's id, the broker's name for it, and the driver's own options."""

    id: str
    name: str
    options: Mapping[str, Any]


class Delivery(Protocol):
    """One message in the hands of a receiver."""

    @property
    def message(self) -> Message:
        """The message, as it was published."""

    @property
    def attempt(self) -> int:
        """How often the message was delivered and failed, plus one: 1 the first time."""

    async def ack(self) -> None:
        """The message is done: the broker forgets it."""

    async def nack(self, delay: float) -> None:
        """It failed: deliver it again in `delay` seconds or later, with `attempt` one higher."""

    async def release(self) -> None:
        """It was not tried: deliver it again, to whoever is there, with the same `attempt`."""


class Receiver(Protocol):
    """Who takes deliveries. Both methods are called on the event loop and return at once."""

    def receive(self, delivery: Delivery) -> None:
        """Take a delivery."""

    def failed(self, problem: Exception) -> None:
        """The subscription ended by itself and will deliver no more."""


class Subscription(Protocol):
    """A receiver at a queue."""

    async def cancel(self) -> None:
        """Deliver nothing more. Deliveries that are not ended stay valid."""


class BrokerQueue(Protocol):
    """One queue at a broker, connected when it is first used."""

    async def publish(self, message: Message) -> None:
        """Return when the broker has the message; wait while a bounded queue is full. Cancelling takes it back."""

    async def subscribe(
        self, receiver: Receiver, *, prefetch: int, auto_ack: bool, options: Mapping[str, Any]
    ) -> Subscription:
        """Deliver to a receiver, never more than `prefetch` deliveries that are not ended.

        `auto_ack`: the broker itself may acknowledge as it delivers; then ending a delivery does nothing there.
        """

    async def info(self) -> dict[str, int]:
        """Return what the broker tells of `message_count`, `ready` and `consumer_count`."""

    async def close(self) -> None:
        """The entry is gone: let go of what is held for it. Messages stay at the broker."""


@runtime_checkable
class QueueDriver(Protocol):
    """A broker. The object outlives changes of its entry: its kind's `update` reconfigures it, queues keep it."""

    #: Key of its options in `driver_options`: "memory", "amqp".
    name: str

    def open(self, spec: QueueSpec) -> BrokerQueue:
        """Return the queue without going to the broker; the same name gives the same queue with the new options.

        Raises Error(Invalid) for options that cannot be.
        """
