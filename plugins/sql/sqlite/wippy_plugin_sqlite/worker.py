"""The one thread on which everything happens that may take long: writing, long queries, opening, closing."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from wippy.scheduler.clock import Clock, VirtualClock

__all__ = ["Job", "Worker"]

_Result = TypeVar("_Result")

#: Seconds between two attempts to interrupt a cancelled statement: SQLite forgets an interrupt that arrives while no
#: statement runs, as between two statements of a script.
REPEAT_INTERRUPT = 0.01


class Job:
    """Work under way. The work looks at `canceled` where it waits."""

    def __init__(self, work: Callable[[Job], Any], done: asyncio.Future[None]) -> None:
        self.work = work
        self.done = done
        self.canceled = False
        self.value: Any = None
        self.problem: BaseException | None = None


class Worker:
    """Runs jobs on its thread, one after the other; `interrupt` is called to stop the one under way."""

    def __init__(self, name: str, clock: Clock, interrupt: Callable[[], None]) -> None:
        self._clock = clock
        self._interrupt = interrupt
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._current: Job | None = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[Job], _Result]) -> _Result:
        """Run `work(job)` on the thread; callers take turns (see line.Line), so it begins at once.

        When the caller is cancelled the work is interrupted, and this returns only when it has ended.
        """
        # The virtual clock does not see this thread: it must not jump while something is under way here.
        with self._clock.hold() if isinstance(self._clock, VirtualClock) else nullcontext():
            job = Job(work, self._loop.create_future())
            self._current = job
            self._jobs.put(job)
            try:
                await asyncio.shield(job.done)
            except asyncio.CancelledError:
                await self._cancel(job)
                raise
        if job.problem is not None:
            raise job.problem
        value: _Result = job.value
        return value

    def cancel_current(self) -> None:
        """Interrupt what runs, if anything does."""
        if self._current is not None:
            self._interrupt_until_done(self._current)

    async def _cancel(self, job: Job) -> None:
        self._interrupt_until_done(job)
        while not job.done.done():
            try:
                await asyncio.wait([job.done])
            except asyncio.CancelledError:
                continue  # the connection is free only when the statement has ended

    def _interrupt_until_done(self, job: Job) -> None:
        job.canceled = True
        if not job.done.done():
            self._interrupt()
            self._loop.call_later(REPEAT_INTERRUPT, self._interrupt_until_done, job)

    def stop(self) -> None:
        """End the thread once it has nothing left to do; it does not serve again."""
        self._jobs.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.value = job.work(job)
            except BaseException as problem:
                job.problem = problem
            self._loop.call_soon_threadsafe(self._settle, job)

    def _settle(self, job: Job) -> None:
        if self._current is job:
            self._current = None
        job.done.set_result(None)
