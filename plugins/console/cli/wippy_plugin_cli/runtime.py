"""An application from boot to shutdown under the signals of the operating system."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from wippy.app import App

__all__ = ["FORCED", "SWITCH_INTERVAL", "run_application"]

log = logging.getLogger("wippy")

Result = TypeVar("Result")

#: Seconds after which a thread that computes in Python gives way: with Python's own 5 ms a worker that wakes the event
#: loop waits ten times longer. It is set here and not in the library, since it holds for the whole program.
SWITCH_INTERVAL = 0.0005

#: Exit code after a second signal, as shells report Ctrl-C.
FORCED = 130

#: What a run does once the application is up; its value is the exit code.
Work = Callable[[App], Awaitable[int]]


def run_application(make: Callable[[], App], work: Work) -> int:
    """Boot an application, do the work, shut down, and return the exit code.

    The first SIGINT or SIGTERM cancels the work and shuts down. Work may answer its cancellation with an exit code;
    otherwise the code is 128 plus the signal's number. A second signal ends the program at once. Raises the Error of a
    boot that fails, and that of the work.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(make, work))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(make: Callable[[], App], work: Work) -> int:
    app = make()
    with _Stop() as stop:
        try:
            await stop.unless(asyncio.ensure_future(app.start()))
        except asyncio.CancelledError:
            return stop.code
        try:
            return await stop.unless(asyncio.ensure_future(work(app)))
        except asyncio.CancelledError:
            return stop.code
        finally:
            await _shut_down(app)


async def _shut_down(app: App) -> None:
    """Stop the application; what does not end within `shutdown.timeout` is given up, and the program ends with 1."""
    limit = app.config.seconds("shutdown.timeout", "30s")
    try:
        async with asyncio.timeout(limit or None):
            await app.stop()
    except TimeoutError:
        left = [i for i, state in app.supervisor.states().items() if state["state"] in ("running", "stopping")]
        log.error("shutdown took more than %g s; still running: %s", limit, ", ".join(left) or "no service")
        leave_at_once(1)


class _Stop:
    """The signals that stop a program, heard while the block runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Future[int] = self._loop.create_future()
        self._before: dict[signal.Signals, Any] = {}

    @property
    def code(self) -> int:
        """The exit code that tells which signal it was."""
        return 128 + self._asked.result()

    def __enter__(self) -> _Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._loop.add_signal_handler(number, self._heard, int(number))
            except NotImplementedError:  # on Windows
                self._before[number] = signal.signal(number, self._heard_between)
        return self

    def __exit__(self, *_exception: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                self._loop.remove_signal_handler(number)
        for number, before in self._before.items():
            signal.signal(number, before)

    def _heard(self, number: int) -> None:
        if self._asked.done():
            leave_at_once(FORCED)
        self._asked.set_result(number)

    def _heard_between(self, number: int, _frame: object) -> None:
        self._loop.call_soon_threadsafe(self._heard, number)

    async def unless(self, job: asyncio.Future[Result]) -> Result:
        """Wait for a job and return its value. When a signal comes first the job is cancelled.

        Raises what the job raises, CancelledError after a signal that it did not answer.
        """
        await asyncio.wait((job, self._asked), return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            job.cancel()
            await asyncio.wait([job])
        return job.result()


def leave_at_once(code: int) -> None:
    """End the program without shutting anything down."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
