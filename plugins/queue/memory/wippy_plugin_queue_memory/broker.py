"""One bounded queue in memory. Everything happens on the event loop, in the call that causes it: no tasks, no polling."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from wippy.errors import UNAVAILABLE, Error
from wippy.scheduler.clock import Clock, Timer
from wippy_plugin_queue import Message, Receiver

__all__ = ["MemoryQueue"]


class MemoryDelivery:
    """A message in a receiver's hands (wippy_plugin_queue.Delivery)."""

    __slots__ = ("_open", "_subscription", "attempt", "message")

    def __init__(self, subscription: MemorySubscription, message: Message, attempt: int) -> None:
        self._subscription = subscription
        self._open = True
        self.message = message
        self.attempt = attempt

    async def ack(self) -> None:
        if self._close():
            self._subscription.queue.settled()

    async def nack(self, delay: float) -> None:
        if self._close():
            self._subscription.queue.put_later(delay, self.message, self.attempt + 1)

    async def release(self) -> None:
        if self._close():
            self._subscription.queue.put_first(self.message, self.attempt)

    def _close(self) -> bool:
        if not self._open:
            return False
        self._open = False
        self._subscription.outstanding -= 1
        self._subscription.queue.outstanding -= 1
        return True


class MemorySubscription:
    """A receiver at a queue. Invariant: `outstanding` deliveries are not ended, at most `prefetch`."""

    __slots__ = ("outstanding", "prefetch", "queue", "receiver")

    def __init__(self, queue: MemoryQueue, receiver: Receiver, prefetch: int) -> None:
        self.queue = queue
        self.receiver = receiver
        self.prefetch = prefetch
        self.outstanding = 0

    async def cancel(self) -> None:
        self.queue.unsubscribe(self)


class MemoryQueue:
    """A queue of at most `max_length` waiting messages (wippy_plugin_queue.BrokerQueue).

    A message that comes back always has room: it was accepted once, so it must not be lost.
    """

    def __init__(self, name: str, clock: Clock, max_length: int) -> None:
        self._name = name
        self._clock = clock
        self._max_length = max_length
        self._ready: deque[tuple[Message, int]] = deque()
        self._delayed: set[Timer] = set()
        # Publishers that found no room, first come first served; one that was cancelled stays until its turn.
        self._publishers: deque[tuple[asyncio.Future[None], Message]] = deque()
        # The next one to get a delivery is first.
        self._subscriptions: deque[MemorySubscription] = deque()
        # Deliveries that are not ended, of subscriptions that were cancelled too.
        self.outstanding = 0

    async def publish(self, message: Message) -> None:
        if self._subscriptions and not self._ready and not self._publishers:
            subscription = self._subscriptions[0]
            if subscription.outstanding < subscription.prefetch:  # the usual case: straight to a receiver
                self._deliver(subscription, message, 1)
                return
        if len(self._ready) + len(self._delayed) < self._max_length:
            self._ready.append((message, 1))
            self.dispatch()
            return
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._publishers.append((accepted, message))
        await accepted

    async def subscribe(
        self, receiver: Receiver, *, prefetch: int, auto_ack: bool, options: Mapping[str, Any]
    ) -> MemorySubscription:
        """`auto_ack` and `options` mean nothing here."""
        subscription = MemorySubscription(self, receiver, prefetch)
        self._subscriptions.append(subscription)
        self.dispatch()
        return subscription

    async def info(self) -> dict[str, int]:
        return {
            "message_count": len(self._ready) + len(self._delayed) + self.outstanding,
            "ready": len(self._ready),
            "consumer_count": len(self._subscriptions),
        }

    async def close(self) -> None:
        """The queue stays with its messages; who waits to publish is told that it will not get in."""
        self._refuse_publishers()

    def resize(self, max_length: int) -> None:
        """Change the bound; messages beyond a smaller one stay."""
        self._max_length = max_length
        self.dispatch()

    def drop(self) -> None:
        """Forget every message."""
        self._refuse_publishers()
        for timer in self._delayed:
            timer.cancel()
        self._delayed.clear()
        self._ready.clear()

    def unsubscribe(self, subscription: MemorySubscription) -> None:
        self._subscriptions.remove(subscription)

    def put_first(self, message: Message, attempt: int) -> None:
        """Put back a message that was not tried: it keeps its place before all others."""
        self._ready.appendleft((message, attempt))
        self.dispatch()

    def put_later(self, delay: float, message: Message, attempt: int) -> None:
        """Append a message after `delay` seconds."""

        def put() -> None:
            self._delayed.discard(timer)
            self._ready.append((message, attempt))
            self.dispatch()

        timer = self._clock.call_later(delay, put)
        self._delayed.add(timer)
        self.dispatch()

    def dispatch(self) -> None:
        """Deliver while there are messages and receivers with capacity; let publishers in as room appears."""
        ready = self._ready
        while True:
            while ready:
                subscription = self._next_subscription()
                if subscription is None:
                    break
                self._deliver(subscription, *ready.popleft())
            if not self._publishers or not self._admit():
                return

    def settled(self) -> None:
        """A receiver has capacity again."""
        if self._ready:
            self.dispatch()

    def _deliver(self, subscription: MemorySubscription, message: Message, attempt: int) -> None:
        subscription.outstanding += 1
        self.outstanding += 1
        if len(self._subscriptions) > 1:
            self._subscriptions.rotate(-1)
        subscription.receiver.receive(MemoryDelivery(subscription, message, attempt))

    def _next_subscription(self) -> MemorySubscription | None:
        for subscription in self._subscriptions:
            if subscription.outstanding < subscription.prefetch:
                return subscription
        return None

    def _admit(self) -> bool:
        """Let one waiting publisher in, if there is room; returns whether one was."""
        while self._publishers and len(self._ready) + len(self._delayed) < self._max_length:
            accepted, message = self._publishers.popleft()
            if not accepted.done():
                accepted.set_result(None)
                self._ready.append((message, 1))
                return True
        return False

    def _refuse_publishers(self) -> None:
        while self._publishers:
            accepted, _ = self._publishers.popleft()
            if not accepted.done():
                accepted.set_exception(Error(f"queue {self._name} was removed", UNAVAILABLE, retryable=True))
