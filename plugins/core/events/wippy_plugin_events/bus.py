"""The bus: subscriptions, and who of them gets an event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from wippy.errors import INVALID, Error
from wippy_plugin_events.patterns import Pattern

__all__ = ["BUS", "Event", "EventBus", "Subscription"]

log = logging.getLogger("wippy")

#: The resource id of an application's bus.
BUS = "wippy:events"

#: Pairs of system and kind whose receivers are remembered; beyond that many different ones it begins anew.
REMEMBERED = 4096


class Event(msgspec.Struct, frozen=True):
    """Something that happened: who says so, what it is, what it is about, and more where there is more to say."""

    system: str
    kind: str
    path: str
    data: Any = None


Receive = Callable[[Event], None]


class Subscription:
    """A receiver with its patterns. Made by EventBus.subscribe."""

    def __init__(self, bus: EventBus, receive: Receive, system: str, kind: str | None) -> None:
        self.receive = receive
        self._bus = bus
        self._system = Pattern(system)
        self._kind = Pattern(kind) if kind is not None else None

    def wants(self, system: str, kind: str) -> bool:
        """Tell whether events of this system and kind match."""
        segments = system.split(".")
        if self._kind is not None:
            return self._system.matches(segments) and self._kind.matches(kind.split("."))
        # One pattern for both: `orders.*` means every kind of system `orders`, however many segments the kind has.
        return (
            self._system.matches(segments)
            or self._system.matches([*segments, *kind.split(".")])
            or self._system.matches([*segments, kind])
        )

    def close(self) -> None:
        """Receive nothing more; closing twice is nothing."""
        self._bus.drop(self)


class EventBus:
    """The event bus of one App. Use it from the event loop's thread only.

    Events are handed on while `send` runs, so the order of sending is the order of receiving.
    """

    def __init__(self) -> None:
        # A dict as an ordered set: who subscribed first hears first.
        self._subscriptions: dict[Subscription, None] = {}
        # Invariant: for every key, exactly the subscriptions that want it.
        self._receivers: dict[tuple[str, str], tuple[Subscription, ...]] = {}

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self, receive: Receive, system: str, kind: str | None = None) -> Subscription:
        """Call `receive` with every event whose system and kind match; without `kind` see Subscription.wants.

        Raises Error(Invalid) for an empty system or a malformed pattern.
        """
        if not system:
            raise Error("events.subscribe: system must not be empty", INVALID, retryable=False)
        subscription = Subscription(self, receive, system, kind)
        self._subscriptions[subscription] = None
        self._receivers.clear()
        return subscription

    def drop(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        if subscription in self._subscriptions:
            del self._subscriptions[subscription]
            self._receivers.clear()

    def send(self, system: str, kind: str, path: str, data: Any = None) -> None:
        """Publish an event.

        Raises Error(Invalid) where system, kind or path are empty. What receivers raise is logged.
        """
        for name, value in (("system", system), ("kind", kind), ("path", path)):
            if not value:
                raise Error(f"events.send: {name} must not be empty", INVALID, retryable=False)
        receivers = self._receivers.get((system, kind))
        if receivers is None:
            if len(self._receivers) >= REMEMBERED:
                self._receivers.clear()
            receivers = tuple(s for s in self._subscriptions if s.wants(system, kind))
            self._receivers[system, kind] = receivers
        event = Event(system, kind, path, data)
        for subscription in receivers:
            # An earlier receiver of this very event may have closed it.
            if subscription in self._subscriptions:
                try:
                    subscription.receive(event)
                except Exception:
                    log.exception("a receiver of event %s %s failed", system, kind)
