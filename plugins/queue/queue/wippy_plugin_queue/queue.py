"""The kind queue.queue: a named queue at a driver (manual page system/queue)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import msgspec

from wippy.errors import INVALID, Error
from wippy.kind import Kind, Ref
from wippy.registry.entry import Entry
from wippy_plugin_queue.codec import JSON, encode_body
from wippy_plugin_queue.protocol import BrokerQueue, Message, QueueDriver, QueueSpec, Receiver, Subscription
from wippy_plugin_queue.settlement import Settlements

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["DeadLetter", "Queue", "QueueConfig", "QueueKind"]

log = logging.getLogger("wippy")


class DeadLetter(msgspec.Struct):
    """Where a message goes that failed `max_attempts` times (decision 4 of the reference)."""

    queue: Ref
    max_attempts: Annotated[int, msgspec.Meta(ge=1)] = 5


class QueueConfig(msgspec.Struct):
    """Fields of queue.queue. `driver_options` holds one bag of options by driver name."""

    driver: Ref
    codec: Literal["json/plain", "application/msgpack"] = JSON
    queue_name: str = ""
    driver_options: dict[str, dict[str, Any]] = {}
    dead_letter: DeadLetter | None = None


class Follower(Protocol):
    """Who must move along when a queue goes to another place."""

    async def leave(self) -> None:
        """Stop taking deliveries, and finish those under way."""

    async def come_back(self) -> None:
        """Take deliveries again, at the new place."""

    def failed(self, problem: Exception) -> None:
        """It cannot come back."""


class Queue:
    """A queue of an App: what programs publish to and consumers subscribe at.

    Reached by `app.resources.get(id, Queue)`.
    """

    def __init__(self, app: App, entry: Entry, config: QueueConfig) -> None:
        self.id = entry.id
        self.settlements = Settlements()
        self._app = app
        self._random = app.random.getrandbits
        self._followers: set[Follower] = set()
        self._config = config
        self._driver, self._spec = self._place(entry, config)
        self._broker: BrokerQueue = self._driver.open(self._spec)

    @property
    def dead_letter(self) -> DeadLetter | None:
        return self._config.dead_letter

    async def publish(self, body: Any, headers: dict[str, Any] | None = None) -> str:
        """Publish a value and return the message's id; waits while a bounded queue is full.

        Raises Error(Invalid) for a body that is None or an empty container, or that the codec cannot hold.
        """
        if body is None or body == {} or body == []:
            raise Error(f"publish to {self.id}: the message is empty", INVALID, retryable=False)
        codec = self._config.codec
        message = Message(f"{self._random(128):032x}", encode_body(codec, body), headers or {}, codec)
        await self._broker.publish(message)
        return message.id

    async def forward(self, message: Message) -> None:
        """Publish a message as it is, with the encoding it has."""
        await self._broker.publish(message)

    async def bury(self, message: Message, attempts: int, problem: Error) -> None:
        """Put a message that failed too often into the dead letter queue, with headers that tell its story."""
        assert self.dead_letter
        target = str(self.dead_letter.queue)
        headers = {
            **message.headers,
            "x_dead_letter_queue": self.id,
            "x_dead_letter_attempts": attempts,
            "x_dead_letter_error": str(problem),
        }
        await self._app.resources.get(target, Queue).forward(msgspec.structs.replace(message, headers=headers))
        log.warning(
            "message %s of %s failed %d times and went to %s: %s", message.id, self.id, attempts, target, problem
        )

    async def info(self) -> dict[str, int]:
        """Return the driver's figures."""
        return await self._broker.info()

    async def subscribe(
        self, receiver: Receiver, *, prefetch: int, auto_ack: bool, driver_options: dict[str, dict[str, Any]]
    ) -> Subscription:
        """Let a receiver have the messages."""
        options = driver_options.get(self._driver.name, {})
        return await self._broker.subscribe(receiver, prefetch=prefetch, auto_ack=auto_ack, options=options)

    def follow(self, follower: Follower) -> None:
        self._followers.add(follower)

    def unfollow(self, follower: Follower) -> None:
        self._followers.discard(follower)

    async def change(self, entry: Entry, config: QueueConfig) -> None:
        """Become what a changed entry says. Messages stay where they are; consumers move to the new place.

        Raises Error(Invalid) for options that cannot be; then nothing has changed.
        """
        driver, spec = self._place(entry, config)
        broker = driver.open(spec)
        previous, moved = self._broker, broker is not self._broker
        followers = list(self._followers) if moved else []
        for follower in followers:
            await follower.leave()
        self._config, self._driver, self._spec, self._broker = config, driver, spec, broker
        for follower in followers:
            try:
                await follower.come_back()
            except Error as problem:
                follower.failed(problem)
        if moved:
            await previous.close()

    async def close(self) -> None:
        """The entry is gone."""
        await self._broker.close()

    def _place(self, entry: Entry, config: QueueConfig) -> tuple[QueueDriver, QueueSpec]:
        if config.dead_letter and config.dead_letter.queue == entry.id:
            raise Error(f"{entry.where('dead_letter')}: field `dead_letter.queue`: a queue cannot be its own", INVALID)
        driver = self._app.resources.get(str(config.driver), QueueDriver)  # type: ignore[type-abstract]
        name = config.queue_name or entry.id.partition(":")[2]
        return driver, QueueSpec(entry.id, name, config.driver_options.get(driver.name, {}))


class QueueKind(Kind[QueueConfig]):
    """queue.queue."""

    config = QueueConfig

    async def add(self, entry: Entry, config: QueueConfig) -> None:
        self.app.resources.put(entry.id, Queue(self.app, entry, config))

    async def update(self, entry: Entry, config: QueueConfig, before: Entry) -> None:
        """Change the queue in place: nothing that waits in it may be lost."""
        await self.app.resources.get(entry.id, Queue).change(entry, config)

    async def delete(self, entry: Entry) -> None:
        await self.app.resources.get(entry.id, Queue).close()
        self.app.resources.remove(entry.id)
