"""Supervision: starting services in dependency order, restarting what fails, stopping in reverse.

Source: manual page guides/supervision.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec

from wippy.errors import CANCELED, NOT_FOUND, TIMEOUT, Error
from wippy.kind import Duration, Ref
from wippy.scheduler.clock import Clock, sleep

__all__ = ["Lifecycle", "Restart", "Service", "State", "Supervisor"]

log = logging.getLogger("wippy")


class Restart(msgspec.Struct):
    """When a failed service is tried again. `max_attempts` 0 means for ever."""

    initial_delay: Duration = Duration(1)
    max_delay: Duration = Duration(90)
    backoff_factor: float = 2.0
    jitter: float = 0.1
    max_attempts: int = 0

    def delay(self, attempt: int, source: random.Random) -> float:
        """Return the seconds to wait before retry number `attempt`, which counts from 1."""
        base = min(self.initial_delay * self.backoff_factor ** min(attempt - 1, 64), self.max_delay)
        return base * (1 + self.jitter * source.uniform(-1, 1))


class Lifecycle(msgspec.Struct):
    """The `lifecycle` block that every service understands."""

    auto_start: bool = False
    start_timeout: Duration = Duration(10)
    stop_timeout: Duration = Duration(10)
    stable_threshold: Duration = Duration(5)
    requires: list[Ref] = []
    depends_on: list[Ref] = []
    startup: Literal["required", "optional"] = "required"
    restart: Restart = msgspec.field(default_factory=Restart)
    security: dict[str, Any] | None = None


class Service(Protocol):
    """Something that runs until it is stopped, or fails."""

    async def start(self) -> None:
        """Return when it serves; raise when it cannot."""

    async def stop(self) -> None:
        """Stop gracefully; cancelled when stop_timeout is over, and must then have let go of everything."""

    async def ended(self) -> None:
        """Wait until it ends by itself: return when it is done, raise the Error it failed with."""


class State(StrEnum):
    """The manual's service states."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    EXITED = "exited"
    FAILED = "failed"


class _Supervised:
    """One service.

    Invariant: `keeper` is the task that keeps it running, from its start until it exits or is stopped.
    """

    def __init__(self, service_id: str, service: Service, lifecycle: Lifecycle) -> None:
        self.id = service_id
        self.service = service
        self.lifecycle = lifecycle
        self.state = State.UNKNOWN
        self.error: Error | None = None
        self.attempts = 0
        self.keeper: asyncio.Task[None] | None = None
        self.started: asyncio.Future[None] | None = None


class Supervisor:
    """All services of an App. `needs(id)` gives the entries that an entry refers to, services or not."""

    def __init__(self, clock: Clock, source: random.Random, needs: Callable[[str], Iterable[str]]) -> None:
        self._clock = clock
        self._random = source
        self._needs = needs
        self._services: dict[str, _Supervised] = {}
        self._running = False

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the state of every service by id."""
        return {
            s.id: {"state": str(s.state), "error": str(s.error) if s.error else None, "attempts": s.attempts}
            for s in self._services.values()
        }

    async def add(self, service_id: str, service: Service, lifecycle: Lifecycle) -> None:
        """Take charge of a service. Once the application runs, one with auto_start starts at once.

        Raises the Error of a required service that does not start.
        """
        supervised = _Supervised(service_id, service, lifecycle)
        self._services[service_id] = supervised
        if self._running and lifecycle.auto_start:
            try:
                await self.start(service_id)
            except Error:
                del self._services[service_id]
                raise

    async def remove(self, service_id: str) -> None:
        """Stop a service and forget it."""
        if service_id in self._services:
            await self.stop(service_id)
            del self._services[service_id]

    async def start_all(self) -> None:
        """Start every service with auto_start, and what it needs, dependencies first.

        Raises the Error of the first required service that does not start.
        """
        self._running = True
        wanted = [s.id for s in self._services.values() if s.lifecycle.auto_start]
        starts = [asyncio.ensure_future(self.start(service_id)) for service_id in wanted]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            raise

    async def stop_all(self) -> None:
        """Stop every service, dependents first."""
        self._running = False
        dependents: dict[str, set[str]] = {service_id: set() for service_id in self._services}
        for service_id in self._services:
            for needed in self._starts_before(service_id):
                dependents[needed].add(service_id)
        stops: dict[str, asyncio.Task[None]] = {}

        async def stop(service_id: str) -> None:
            await asyncio.gather(*(stops[d] for d in dependents[service_id] if d in stops))
            await self.stop(service_id)

        # Later ones first: where a cycle of references leaves no order, the order of starting decides.
        for service_id in reversed(self._services):
            stops[service_id] = asyncio.ensure_future(stop(service_id))
        await asyncio.gather(*stops.values())

    async def start(self, service_id: str) -> None:
        """Start a service after those it needs; returns when it runs.

        Raises Error(NotFound), and the service's Error when it is required and does not start.
        """
        supervised = self._get(service_id)
        if supervised.started is None:
            supervised.started = asyncio.get_running_loop().create_future()
            supervised.started.add_done_callback(_retrieve)
            supervised.keeper = asyncio.create_task(self._keep(supervised, supervised.started))
        await asyncio.shield(supervised.started)

    async def stop(self, service_id: str) -> None:
        """Stop a service and wait until it has stopped."""
        supervised = self._get(service_id)
        keeper, supervised.keeper = supervised.keeper, None
        if keeper is None:
            return
        was_running = supervised.state is State.RUNNING
        supervised.state = State.STOPPING
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        if supervised.started and not supervised.started.done():
            supervised.started.set_exception(Error(f"service {service_id} was stopped while it started", CANCELED))
        if was_running:
            await self._stop(supervised)
        supervised.state, supervised.started = State.STOPPED, None

    async def _stop(self, supervised: _Supervised) -> None:
        stopping = asyncio.ensure_future(supervised.service.stop())
        timer = self._clock.call_later(supervised.lifecycle.stop_timeout, stopping.cancel)
        try:
            await asyncio.wait([stopping])
        except asyncio.CancelledError:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            raise
        finally:
            timer.cancel()
        if stopping.cancelled():
            log.warning("service %s did not stop within %g s", supervised.id, supervised.lifecycle.stop_timeout)
        elif stopping.exception():
            log.error("service %s failed to stop: %s", supervised.id, stopping.exception())

    def _get(self, service_id: str) -> _Supervised:
        supervised = self._services.get(service_id)
        if supervised is None:
            raise Error(f"service {service_id} not found", NOT_FOUND)
        return supervised

    def _service_needs(self, service_id: str) -> list[str]:
        """Return the services that one needs: named in its lifecycle, or reached through references."""
        lifecycle = self._services[service_id].lifecycle
        waiting = [*lifecycle.requires, *lifecycle.depends_on, *self._needs(service_id)]
        seen: set[str] = {service_id}
        found: list[str] = []
        while waiting:
            current = str(waiting.pop())
            if current in seen:
                continue
            seen.add(current)
            if current in self._services:
                found.append(current)
            else:
                waiting.extend(self._needs(current))
        return found

    def _starts_before(self, service_id: str) -> list[str]:
        """Return the services to wait for. In a circle of needs, what was added first starts first."""
        order = list(self._services)
        return [
            needed
            for needed in self._service_needs(service_id)
            if not self._reaches(needed, service_id) or order.index(needed) < order.index(service_id)
        ]

    def _reaches(self, start: str, target: str) -> bool:
        """Tell whether a service needs another, directly or through other services."""
        waiting, seen = [start], {start}
        while waiting:
            for needed in self._service_needs(waiting.pop()):
                if needed == target:
                    return True
                if needed not in seen:
                    seen.add(needed)
                    waiting.append(needed)
        return False

    async def _keep(self, supervised: _Supervised, started: asyncio.Future[None]) -> None:
        """Keep a service running until it exits for good; the first start settles `started`."""
        while True:
            failure = await self._run_once(supervised, started)
            supervised.error = failure
            if failure is None or failure.retryable is False or failure.kind == CANCELED:
                supervised.state = State.EXITED
                _settle(started, failure)
                if failure:
                    log.error("service %s ended: %s", supervised.id, failure)
                return
            supervised.state = State.FAILED
            if not started.done() and supervised.lifecycle.startup == "required":
                started.set_exception(failure)
                return
            _settle(started, None)
            supervised.attempts += 1
            restart = supervised.lifecycle.restart
            if 0 < restart.max_attempts < supervised.attempts:
                supervised.state = State.EXITED
                log.error("service %s failed and was tried %d times: %s", supervised.id, restart.max_attempts, failure)
                return
            delay = restart.delay(supervised.attempts, self._random)
            log.warning("service %s failed: %s; starting it again in %.1f s", supervised.id, failure, delay)
            await sleep(self._clock, delay)

    async def _run_once(self, supervised: _Supervised, started: asyncio.Future[None]) -> Error | None:
        """Start a service and wait for its end; returns the Error it failed with, if any."""
        supervised.state = State.STARTING
        try:
            await asyncio.gather(*(self.start(needed) for needed in self._starts_before(supervised.id)))
            await self._start(supervised)
        except Error as problem:
            return problem
        except OSError as problem:
            return Error(f"service {supervised.id}: {problem}", retryable=True)
        supervised.state = State.RUNNING
        _settle(started, None)
        began = self._clock.now()
        failure = None
        try:
            await supervised.service.ended()
        except Error as problem:
            failure = problem
        except Exception as problem:
            log.exception("service %s", supervised.id)
            failure = Error.of(problem)
        if self._clock.now() - began >= supervised.lifecycle.stable_threshold:
            supervised.attempts = 0
        return failure

    async def _start(self, supervised: _Supervised) -> None:
        timeout = supervised.lifecycle.start_timeout
        starting = asyncio.ensure_future(supervised.service.start())
        timer = self._clock.call_later(timeout, starting.cancel)
        try:
            await asyncio.wait([starting])
        except asyncio.CancelledError:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            raise
        finally:
            timer.cancel()
        if starting.cancelled():
            raise Error(f"service {supervised.id} did not start within {timeout:g} s", TIMEOUT, retryable=True)
        starting.result()


def _settle(started: asyncio.Future[None], failure: Error | None) -> None:
    if not started.done():
        if failure is None:
            started.set_result(None)
        else:
            started.set_exception(failure)


def _retrieve(started: asyncio.Future[None]) -> None:
    """A start that nobody waits for any more may fail in peace: the state and the log tell of it."""
    if not started.cancelled():
        started.exception()
