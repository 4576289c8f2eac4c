"""Settlement: what becomes of a delivery, once (reference, row "queue", and decision 4)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from wippy.errors import INVALID, Error
from wippy_plugin_queue.protocol import Delivery

if TYPE_CHECKING:
    from wippy_plugin_queue.queue import Queue

__all__ = ["Settlement", "Settlements", "retry_delay"]

log = logging.getLogger("wippy")

FIRST_DELAY = 0.1
MOST_DELAY = 30.0


def retry_delay(attempt: int) -> float:
    """Return the seconds to wait after failed attempt number `attempt`, which counts from 1."""
    return float(min(FIRST_DELAY * 2 ** min(attempt - 1, 32), MOST_DELAY))


class Settlement:
    """A delivery that is being handled. The handler and the consumer may both settle it; the first one does."""

    __slots__ = ("_delivery", "_queue", "settled", "token")

    def __init__(self, queue: Queue, delivery: Delivery, token: int) -> None:
        self._queue = queue
        self._delivery = delivery
        self.token = token
        #: Invariant: once this is set, whoever set it ends the delivery, whatever happens.
        self.settled = False

    async def ack(self) -> None:
        """Acknowledge.

        Raises Error(Invalid) when it was settled before.
        """
        self._take()
        await self._delivery.ack()

    async def nack(self, problem: Error) -> None:
        """Have it delivered again later, or send it to the dead letter queue after too many attempts.

        Raises Error(Invalid) when it was settled before.
        """
        self._take()
        delivery, dead_letter = self._delivery, self._queue.dead_letter
        try:
            # Published there before it is acknowledged here: a crash between the two leaves it twice, never not at all.
            if dead_letter and delivery.attempt >= dead_letter.max_attempts:
                await self._queue.bury(delivery.message, delivery.attempt, problem)
                await delivery.ack()
                return
        except asyncio.CancelledError:
            await delivery.release()
            raise
        except Error as failure:
            log.error("message %s of %s cannot become a dead letter: %s", delivery.message.id, self._queue.id, failure)
        delay = retry_delay(delivery.attempt)
        log.warning(
            "message %s of %s failed (attempt %d), again in %g s: %s",
            delivery.message.id, self._queue.id, delivery.attempt, delay, problem,
        )  # fmt: skip
        await delivery.nack(delay)

    async def release(self) -> None:
        """Give it back untried."""
        self.settled = True
        await self._delivery.release()

    def _take(self) -> None:
        if self.settled:
            raise Error(f"message {self._delivery.message.id} is settled already", INVALID, retryable=False)
        self.settled = True


class Settlements:
    """The deliveries of a queue that are being handled, by the number that a handler's `queue.message()` carries."""

    def __init__(self) -> None:
        self._open: dict[int, Settlement] = {}
        self._last = 0

    def begin(self, queue: Queue, delivery: Delivery) -> Settlement:
        """A handler is about to be called."""
        self._last += 1
        settlement = Settlement(queue, delivery, self._last)
        self._open[self._last] = settlement
        return settlement

    def end(self, settlement: Settlement) -> None:
        """The handler has returned: its message cannot be settled by hand any more."""
        del self._open[settlement.token]

    def get(self, token: int) -> Settlement:
        """Return what a handler wants to settle.

        Raises Error(Invalid) when the handler it was delivered to has ended.
        """
        settlement = self._open.get(token)
        if settlement is None:
            raise Error("the message is settled already: its handler has ended", INVALID, retryable=False)
        return settlement
