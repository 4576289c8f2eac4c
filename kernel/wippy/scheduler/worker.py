"""Workers: who gives a VM time. One runs inline in the event loop, the others on threads of their own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lupa import lua54

from wippy.sandbox.vm import Vm
from wippy.scheduler.clock import Clock

__all__ = ["COMMAND", "CANCEL", "LOG", "REPLY", "SIGNAL", "InlineWorker", "ThreadWorker", "Worker"]  # noqa: RUF022

log = logging.getLogger("wippy")

#: Operations in a VM's outbox (scheduler/lua/outbox.lua); each entry has five slots.
COMMAND, CANCEL, SIGNAL, REPLY, LOG = 1, 2, 3, 4, 5
SLOTS = 5

#: Switches in one slice where the real time must not matter (a virtual clock): the same every run.
FIXED_SLICE = 1_000
NO_LIMIT = 1 << 62

#: Seconds that a slice may take: short beside the event loop's other work, longer on a thread (engineering rules, 7).
INLINE_SLICE = 0.002
THREAD_SLICE = 0.004

Outbox = Sequence[Any]
Drain = Callable[["Worker", Outbox], None]


class Worker(Protocol):
    """A VM and the means to run it. All methods are called from the event loop's thread."""

    index: int
    load: int
    vm: Vm

    def tell(self, entry: str, *args: Any) -> None:
        """Call one of the VM's entry points before its next slice."""

    def start(self) -> None:
        """Begin to run slices."""

    async def stop(self) -> None:
        """Stop running slices; what is runnable stays where it is."""


def step(worker: Worker, now: float, switches: int, seconds: float, lightest: tuple[int, int]) -> Sequence[Any]:
    """Run one slice of a worker's VM; returns what the VM's `step` does.

    User code cannot make this fail. Should the kernel's own code do so, or the VM run out of memory there, the task that
    ran is lost and the others go on.
    """
    try:
        slice_: Sequence[Any] = worker.vm.step(now, switches, time.monotonic() + seconds if seconds else 0, *lightest)
    except lua54.LuaMemoryError:
        log.error("worker %d has no memory left: the process that ran is ended", worker.index)
        worker.vm.panic(b"not enough memory")
        return True, None, worker.load
    except lua54.LuaError as problem:
        log.critical("worker %d failed in the kernel's own code", worker.index, exc_info=True)
        worker.vm.panic(str(problem).encode(errors="replace"))
        return True, None, worker.load
    return slice_


class InlineWorker:
    """Runs its VM in the event loop, a short slice at a time."""

    def __init__(
        self,
        index: int,
        vm: Vm,
        clock: Clock,
        drain: Drain,
        lightest: Callable[[], tuple[int, int]],
        idle: Callable[[], None],
    ) -> None:
        self.index = index
        self.vm = vm
        self.load = 0
        #: Earliest deadline of the VM's timers, if any.
        self.deadline: float | None = None
        self._clock = clock
        self._drain = drain
        self._lightest = lightest
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        # Invariant: True exactly while a slice is scheduled or running.
        self.busy = False
        self._stopped = False

    def start(self) -> None:
        self.wake()

    async def stop(self) -> None:
        self._stopped = True
        self.vm.leave()
        if self._timer:
            self._timer.cancel()

    def tell(self, entry: str, *args: Any) -> None:
        getattr(self.vm, entry)(*args)
        self.wake()

    def wake(self) -> None:
        if not self.busy and not self._stopped:
            self.busy = True
            self._loop.call_soon(self._slice)

    def _slice(self) -> None:
        if self._stopped:
            return
        real = self._clock.real
        more, deadline, load, *outbox = step(
            self, self._clock.now(), NO_LIMIT if real else FIXED_SLICE, INLINE_SLICE if real else 0, self._lightest()
        )
        self.load = load
        self.deadline = deadline
        self.busy = more
        if outbox:
            self._drain(self, outbox)  # what it delivers to this very worker wakes it again
        if more:
            self._loop.call_soon(self._slice)
        elif not self.busy:
            self._arm(deadline)
            self._idle()

    def _arm(self, deadline: float | None) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if deadline is not None and self._clock.real:
            self._timer = self._loop.call_later(max(0.0, deadline - self._clock.now()), self.wake)


class ThreadWorker:
    """Runs its VM on a thread. It stays in Lua while anything is runnable: a thread that came back to Python often
    would lose most of its speed to the event loop's hold on the interpreter (engineering rules, 7)."""

    def __init__(self, index: int, vm: Vm, clock: Clock, drain: Drain, lightest: Callable[[], tuple[int, int]]) -> None:
        self.index = index
        self.vm = vm
        self.load = 0
        self._clock = clock
        self._drain = drain
        self._lightest = lightest
        self._loop = asyncio.get_running_loop()
        self._inbound: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        # Invariant: while this is set the thread sleeps, or will look at the inbound deque before it does.
        self._armed = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"wippy-worker-{index}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        self._stopping = True
        self._ring()
        while self._thread.is_alive():
            await asyncio.sleep(0.001)
        os.close(self._read)
        os.close(self._write)

    def tell(self, entry: str, *args: Any) -> None:
        self._inbound.append((entry, args))
        if self._armed:
            self._armed = False
            self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full of rings already
            os.write(self._write, b"\0")

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self.vm.leave()

    def _serve(self) -> None:
        # Below the event loop in priority: with as many spinning processes as cores, requests still get answered.
        with contextlib.suppress(OSError):  # not every system knows a thread's priority
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        inbound, vm = self._inbound, self.vm
        while not self._stopping:
            while inbound:
                entry, args = inbound.popleft()
                getattr(vm, entry)(*args)
            more, deadline, load, *outbox = step(self, self._clock.now(), NO_LIMIT, THREAD_SLICE, self._lightest())
            self.load = load
            if outbox:
                self._loop.call_soon_threadsafe(self._drain, self, outbox)
            if not more:
                self._sleep(poll, deadline)

    def _sleep(self, poll: select.poll, deadline: float | None) -> None:
        self._armed = True
        if self._inbound or self._stopping:
            self._armed = False
            return
        timeout = None if deadline is None else max(0.0, deadline - self._clock.now()) * 1000
        if poll.poll(timeout):
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        self._armed = False
