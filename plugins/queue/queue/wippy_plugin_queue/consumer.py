"""The kind queue.consumer: a supervised pool of handlers at a queue (manual page guides/queue-consumers)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from wippy.errors import Error
from wippy.kind import Kind, Ref
from wippy.registry.entry import Entry
from wippy.sandbox.codec import pack
from wippy.supervisor import Lifecycle
from wippy_plugin_queue.codec import decode_body
from wippy_plugin_queue.protocol import Delivery, Message, Subscription
from wippy_plugin_queue.queue import Queue
from wippy_plugin_queue.settlement import Settlement

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["Consumer", "ConsumerConfig", "ConsumerKind"]

log = logging.getLogger("wippy")


class ConsumerConfig(msgspec.Struct):
    """Fields of queue.consumer. `prefetch` counts all deliveries that are not settled, those being handled included."""

    queue: Ref
    func: Ref
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    prefetch: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10
    auto_ack: bool = False
    driver_options: dict[str, dict[str, Any]] = {}
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)


class Consumer:
    """A consumer as a service: takes deliveries and calls the function, `concurrency` at a time."""

    def __init__(self, app: App, consumer_id: str, config: ConsumerConfig) -> None:
        self.id = consumer_id
        self._app = app
        self._config = config
        self._function = str(config.func)
        self._identity = _identity(config.lifecycle.security)
        self._queue: Queue
        self._subscription: Subscription | None = None
        self._waiting: deque[Delivery] = deque()
        # Workers end when nothing waits. Invariant: `_active` counts those that will still look at `_waiting`; a task of
        # `_workers` may be past that.
        self._workers: set[asyncio.Task[None]] = set()
        self._active = 0
        self._ended: asyncio.Future[None]

    # The service ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        self._queue = self._app.resources.get(str(self._config.queue), Queue)
        await self.come_back()
        self._queue.follow(self)

    async def stop(self) -> None:
        """Take nothing more and finish what is under way; when the time is over, what is unfinished goes back."""
        self._queue.unfollow(self)
        await self.leave()

    async def ended(self) -> None:
        await asyncio.shield(self._ended)

    async def leave(self) -> None:
        """Stop taking deliveries, and finish those under way (queue.Follower)."""
        subscription, self._subscription = self._subscription, None
        try:
            if subscription:
                await subscription.cancel()
            await self._give_back()
            if self._workers:
                await asyncio.wait(self._workers)
        except asyncio.CancelledError:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            await self._give_back()
            raise

    async def _give_back(self) -> None:
        while self._waiting:  # the last one first, so that they go back in their order
            await self._waiting.pop().release()

    async def come_back(self) -> None:
        """Take deliveries (queue.Follower)."""
        config = self._config
        self._active = 0  # a worker that was cancelled before it began could not say so
        self._subscription = await self._queue.subscribe(
            self, prefetch=config.prefetch, auto_ack=config.auto_ack, driver_options=config.driver_options
        )

    # Deliveries (protocol.Receiver) -----------------------------------------------------------------------------------

    def receive(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        if self._active < self._config.concurrency:
            self._active += 1
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._worker_done)

    def _worker_done(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        problem = None if worker.cancelled() else worker.exception()
        if isinstance(problem, Exception):
            log.error("consumer %s failed", self.id, exc_info=problem)
            self.failed(problem)

    def failed(self, problem: Exception) -> None:
        if not self._ended.done():
            self._ended.set_exception(Error.of(problem))
            self._ended.exception()  # the supervisor may be past listening

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._handle(self._waiting.popleft())
        finally:
            self._active -= 1

    async def _handle(self, delivery: Delivery) -> None:
        queue, message = self._queue, delivery.message
        settlement = queue.settlements.begin(queue, delivery)
        try:
            failure = await self._call(message, settlement)
            if settlement.settled:
                if failure:
                    log.warning("consumer %s: message %s was settled, then: %s", self.id, message.id, failure)
            elif failure:
                await settlement.nack(failure)
            else:
                await settlement.ack()
        except Error as problem:
            log.error("consumer %s: message %s could not be settled: %s", self.id, message.id, problem)
        finally:
            queue.settlements.end(settlement)
            if not settlement.settled:
                await settlement.release()

    async def _call(self, message: Message, settlement: Settlement) -> Error | None:
        """Call the function; returns what went wrong, or None."""
        try:
            value = await self._app.call(
                self._function,
                decode_body(message.content_type, message.body),
                attached={"queue": pack((self._queue.id, settlement.token, message.id, message.headers))},
                **self._identity,
            )
        except Error as problem:
            return problem
        return Error("the handler returned false") if value is False else None


def _identity(security: dict[str, Any] | None) -> dict[str, Any]:
    """Return the call options for `lifecycle.security`, in the form that kernel.assume_identity gives entries."""
    options: dict[str, Any] = {}
    if security and security.get("actor"):
        options["actor"] = {"id": security["actor"].get("id"), "meta": security["actor"].get("meta")}
    if security and (security.get("policies") or security.get("groups")):
        options["scope"] = {"policies": security.get("policies") or [], "groups": security.get("groups") or []}
    return options


class ConsumerKind(Kind[ConsumerConfig]):
    """queue.consumer."""

    config = ConsumerConfig

    async def add(self, entry: Entry, config: ConsumerConfig) -> None:
        consumer = Consumer(self.app, entry.id, config)
        await self.app.supervisor.add(entry.id, consumer, config.lifecycle)

    async def delete(self, entry: Entry) -> None:
        await self.app.supervisor.remove(entry.id)
