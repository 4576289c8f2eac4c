"""The node: its workers, the routes between them, and what Python asks of processes and functions."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from wippy.errors import CANCELED, INTERNAL, INVALID, NOT_FOUND, RATE_LIMITED, Error
from wippy.sandbox.codec import pack, unpack
from wippy.sandbox.vm import Vm, VmSettings
from wippy.scheduler.clock import Clock, RealClock, VirtualClock
from wippy.scheduler.commands import Call, Commands, Sink
from wippy.scheduler.isolation import Isolation
from wippy.scheduler.mailboxes import Exit, Mailboxes, Receive
from wippy.scheduler.names import Names, Places
from wippy.scheduler.preempt import QUANTUM
from wippy.scheduler.worker import CANCEL, COMMAND, LOG, REPLY, SIGNAL, SLOTS, InlineWorker, ThreadWorker, Worker

__all__ = ["Exit", "Node", "NodeSettings"]

log = logging.getLogger("wippy")

_PID = re.compile(r"^\{(.*)\|0x([0-9a-f]+)\}$")
_LEVELS = {b"debug": logging.DEBUG, b"info": logging.INFO, b"warn": logging.WARNING, b"error": logging.ERROR}

#: Residues that the number in a pid can have: one for every VM there can be at a time, and the last for Python's own
#: pids. It is fixed, because pids must keep their meaning while workers come and go.
PID_SLOTS = 1024
#: Workers that share VMs among processes take the lower half of the residues, isolated ones the upper half.
MOST_THREADS = PID_SLOTS // 2 - 1
PYTHON_SLOT = PID_SLOTS - 1

#: Turns of the event loop without news after which everything counts as idle (virtual clock).
IDLE_TURNS = 5
#: Real seconds without news after which it counts as idle though commands are under way: they may wait for something
#: that waits for the clock, and nobody can tell that from waiting for a disk.
PATIENCE = 0.25


class NodeSettings(msgspec.Struct):
    """`seed` makes a run with a virtual clock reproducible. Limits: messages in a mailbox, bytes of a VM (0: none)."""

    clock: Clock = msgspec.field(default_factory=RealClock)
    seed: int | None = None
    mailbox_limit: int = 1_000_000
    memory_limit: int = 0
    #: Seconds of computing after which a task is preempted.
    quantum: float = QUANTUM


#: Gives the code bundle of an entry: {"modules": [...], "entries": [...]} as scheduler/lua/code.lua wants it.
CodeSource = Callable[[str], Awaitable[dict[str, Any]]]


class Node:
    """Everything that runs in one Python process. Use it from the event loop's thread only."""

    def __init__(self, settings: NodeSettings, commands: Commands, code_source: CodeSource) -> None:
        self.clock = settings.clock
        self.commands = commands
        self.mailboxes = Mailboxes(PID_SLOTS)
        self.names = Names(self._announce_name)
        self._places = Places()
        self._settings = settings
        self._code_source = code_source
        #: Every worker by index; `_shared` are the threads that many processes share.
        self._workers: dict[int, Worker] = {}
        self._shared: list[Worker] = []
        self.isolation = Isolation(self, range(PID_SLOTS // 2, PYTHON_SLOT))
        self._tasks: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._requests: dict[int, asyncio.Future[Any]] = {}
        self._sinks: dict[tuple[int, int], Callable[[], None]] = {}
        self._hosts: dict[str, dict[str, Any]] = {}
        self._extensions: list[tuple[str, bytes]] = []
        # What every worker must know, also those that come later: key -> encoded signal, in the order it was said.
        self._state: dict[tuple[str, str], bytes] = {}
        self._last_id = 0
        self._idle_turns = -1
        self._news = 0
        self._handlers: dict[str, Callable[..., None]] = {
            "reply": self._on_reply,
            "exited": self.mailboxes.exited,
            "request": self._on_request,
            "send": self.mailboxes.deliver,
            "gone": lambda pid: None,
            "crowded": lambda pid: None,
            "link_down": lambda pid, source, error=None: None,
            "linked": self._on_linked,
        }

    # Life -----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the VM that runs in the event loop."""
        self._loop = asyncio.get_running_loop()
        self.commands.register("kernel.code", self._code)
        self.commands.register("kernel.isolated", self.isolation.spawn)
        self.commands.register("kernel.isolated.exec", self.isolation.execute)
        self._workers[0] = self._new_worker(0, self._make_vm(0))
        if isinstance(self.clock, VirtualClock):
            self.clock.changed = self._expect_idle
        self._workers[0].start()

    def ensure_threads(self, count: int) -> list[int]:
        """Have at least `count` worker threads; returns the indexes of the first `count`.

        With a virtual clock there are none and everything runs inline, so that a run is reproducible.
        """
        if not self.clock.real:
            return [0]
        count = max(1, min(count, MOST_THREADS))
        while len(self._shared) < count:
            worker = self.add_worker(len(self._shared) + 1)
            self._shared.append(worker)
        return list(range(1, count + 1))

    def add_worker(self, index: int, *, memory_limit: int = 0, generation: int = 0) -> Worker:
        """Make and start a worker on a thread of its own, and tell it what every worker knows.

        `generation` counts the workers that had this index before, so that no pid is ever given twice.
        """
        vm = self._make_vm(index, memory_limit, generation)
        worker = self._new_worker(index, vm)
        for name, source in self._extensions:
            worker.vm.extend(name, source)
        for data in self._state.values():
            worker.tell("signal", data)
        for name, pid in self.names.all().items():
            worker.tell("signal", pack(["name", name, pid]))
        self._workers[index] = worker
        worker.start()
        return worker

    def _new_worker(self, index: int, vm: Vm) -> Worker:
        """Return who gives a VM time: the event loop for the first, a thread for any other."""
        if index == 0:
            return InlineWorker(0, vm, self.clock, self._drain, self._lightest, self._expect_idle)
        return ThreadWorker(index, vm, self.clock, self._drain, self._lightest)

    async def remove_worker(self, index: int) -> None:
        """Stop a worker whose processes have ended."""
        await self._workers.pop(index).stop()

    @property
    def threads(self) -> int:
        """How many threads processes share."""
        return len(self._shared)

    async def stop(self) -> None:
        """Stop all workers and cancel what they wait for."""
        for worker in list(self._workers.values()):
            await worker.stop()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for dropped in list(self._sinks.values()):
            dropped()
        self._sinks.clear()
        for future in [*self._calls.values(), *self._requests.values()]:
            if not future.done():
                future.set_exception(Error("the node stopped", CANCELED))
                future.exception()

    def _make_vm(self, index: int, memory_limit: int = 0, generation: int = 0) -> Vm:
        seed = self._settings.seed
        settings = VmSettings(
            worker_index=index,
            worker_count=PID_SLOTS,
            mailbox_limit=self._settings.mailbox_limit,
            memory_limit=memory_limit or self._settings.memory_limit,
            generation=generation,
            quantum=self._settings.quantum,
            seed=time.time_ns() + index if seed is None else seed + index,
            clock=self.clock.now,
            wall_clock=self.clock.wall,
            monotonic=time.monotonic,
        )
        return Vm(
            settings,
            {
                "claim_name": self.names.claim,
                "release_name": self.names.release,
                "claim_place": self._places.claim,
                "release_place": self._places.release,
            },
        )

    def extend(self, name: str, source: str) -> Any:
        """Load a plugin's own chunk on every worker; returns what it returns in the inline VM."""
        encoded = source.encode()
        self._extensions.append((name, encoded))
        for index, worker in self._workers.items():
            if index:
                worker.tell("extend", name, encoded)
        return self.inline_vm.extend(name, encoded)

    @property
    def inline_vm(self) -> Vm:
        """The VM in the event loop: only it may be called directly; say `wake` afterwards."""
        return self._workers[0].vm

    def wake(self) -> None:
        """Let the inline worker look for work."""
        worker = self._workers[0]
        assert isinstance(worker, InlineWorker)
        worker.wake()

    def _lightest(self) -> tuple[int, int]:
        lightest = min(self._shared, key=lambda w: w.load, default=self._workers[0])
        return lightest.index, lightest.load

    # The outbox -----------------------------------------------------------------------------------------------------

    def _drain(self, worker: Worker, outbox: Sequence[Any]) -> None:
        for at in range(0, len(outbox), SLOTS):
            op, a, b, c, d = outbox[at : at + SLOTS]
            if op == SIGNAL:
                self._route(a, b)
            elif op == COMMAND:
                self._begin(worker, a, b, c, d)
            elif op == REPLY:
                self._reply(a, b, c)
            elif op == CANCEL:
                self._cancel(worker.index, a)
            else:
                assert op == LOG
                self._log(a, b, c)

    def _route(self, target: int, data: bytes) -> None:
        worker = self._workers.get(target)
        if worker is not None:
            worker.tell("signal", data)
            return
        op, *values = unpack(data)
        self._handlers[op](*values)

    def _log(self, level: bytes, message: bytes, record: bytes) -> None:
        fields = unpack(record)
        extra = {"wippy": fields if isinstance(fields, dict) else {}}
        log.log(_LEVELS.get(level, logging.INFO), "%s", message.decode(errors="replace"), extra=extra)

    # Commands -------------------------------------------------------------------------------------------------------

    def _begin(self, worker: Worker, command_id: int, name: bytes, args: bytes, pid: bytes) -> None:
        task = self._loop.create_task(self._perform(worker, command_id, name, args, pid.decode()))
        self._tasks[worker.index, command_id] = task

    async def _perform(self, worker: Worker, command_id: int, name: bytes, args: bytes, pid: str) -> None:
        try:
            result = await self.commands[name](Call(self, worker.index, pid), *unpack(args))
            ok, data = True, pack(result)
        except asyncio.CancelledError:
            if self._tasks.pop((worker.index, command_id), None) is None:
                raise
            ok, data = False, pack(Error(f"{name.decode()} was canceled", CANCELED))
        except Exception as problem:
            if not isinstance(problem, Error):
                log.exception("command %s failed", name.decode())
            ok, data = False, pack(Error.of(problem))
        self._tasks.pop((worker.index, command_id), None)
        worker.tell("complete", command_id, ok, data)

    def _cancel(self, worker: int, command_id: int) -> None:
        if command_id < 0:
            dropped = self._sinks.pop((worker, -command_id), None)
            if dropped:
                dropped()
            return
        task = self._tasks.pop((worker, command_id), None)
        if task:
            task.cancel()

    def open_sink(self, worker: int, sink_id: int, on_drop: Callable[[], None] | None) -> Sink:
        """See Call.sink."""
        target = self._workers[worker]
        if on_drop:
            self._sinks[worker, sink_id] = on_drop

        def close() -> None:
            self._sinks.pop((worker, sink_id), None)
            target.tell("sink_close", sink_id)

        return Sink(lambda value: target.tell("sink_push", sink_id, pack(value)), close)

    async def _code(self, _call: Call, entry_id: str) -> dict[str, Any]:
        return await self._code_source(entry_id)

    # Calls ----------------------------------------------------------------------------------------------------------

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def call(self, function: str, *args: Any, **options: Any) -> Any:
        """Call a function and return its value.

        `options`: context (dict), timeout (seconds), actor and scope as the security plugin makes them. Raises the
        call's Error. Cancelling the caller ends the call.
        """
        call_id = self._next_id()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._calls[call_id] = future
        worker = self._workers[0]
        try:
            worker.tell("call", call_id, function.encode(), pack(args), pack(options) if options else None)
            return await future
        except asyncio.CancelledError:
            worker.tell("cancel_call", call_id)
            raise
        finally:
            self._calls.pop(call_id, None)

    def _reply(self, call_id: int, ok: bool, data: bytes) -> None:
        future = self._calls.get(call_id)
        if future is not None and not future.done():
            _settle(future, *((unpack(data), None) if ok else (None, unpack(data))))

    # Signals and requests -------------------------------------------------------------------------------------------

    def locate(self, pid: str) -> int:
        """Return the index of the worker that a pid lives on.

        Raises Error(Invalid) for what is no pid, Error(NotFound) for a worker that does not exist.
        """
        match = _PID.match(pid)
        if not match:
            raise Error(f'"{pid}" is not a pid', INVALID)
        index = (int(match[2], 16) - 1) % PID_SLOTS
        if index not in self._workers and index != PYTHON_SLOT:
            raise Error(f"process {pid} not found", NOT_FOUND)
        return index

    def resolve(self, destination: str) -> str:
        """Return the pid that a pid or registered name means.

        Raises Error(NotFound) for a name that nobody holds.
        """
        if _PID.match(destination):
            return destination
        pid = self.names.get(destination)
        if pid is None:
            raise Error(f'process "{destination}" not found', NOT_FOUND)
        return pid

    def signal(self, worker: int, op: str, *values: Any) -> None:
        """Send a signal to a worker (scheduler/lua/signals.lua lists them)."""
        self._route(worker, pack([op, *values]))

    def broadcast(self, op: str, *values: Any) -> None:
        """Send a signal to every worker there is."""
        data = pack([op, *values])
        for worker in self._workers.values():
            worker.tell("signal", data)

    def announce(self, key: str, op: str, *values: Any) -> None:
        """Send a signal to every worker there is or will be; a later one with the same op and key replaces it."""
        self._state.pop((op, key), None)
        self._state[op, key] = pack([op, *values])
        self.broadcast(op, *values)

    async def request(self, worker: int, op: str, *values: Any) -> Any:
        """Ask a worker; returns its value or raises its Error."""
        request_id = self._next_id()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._requests[request_id] = future
        try:
            self.signal(worker, "request", PYTHON_SLOT, request_id, op, *values)
            return await future
        finally:
            self._requests.pop(request_id, None)

    def _on_reply(self, request_id: int, value: Any = None, error: Any = None) -> None:
        future = self._requests.get(request_id)
        if future is not None and not future.done():
            _settle(future, value, error)

    def _on_request(self, worker: int, request_id: int, op: str, pid: str, *values: Any) -> None:
        """A worker asks about a pid of Python's: to follow, monitor or link it."""
        try:
            if op == "follow":
                self.mailboxes.on_end(pid, lambda pid: self.signal(worker, "gone", pid))
            elif op in ("monitor", "link"):
                watcher = values[0]
                self.mailboxes.on_end(pid, lambda pid: self.signal(worker, "exited", watcher, pid))
            self.signal(worker, "reply", request_id, True)
        except Error as problem:
            self.signal(worker, "reply", request_id, None, problem)

    def _on_linked(self, pid: str, peer: str) -> None:
        """A process was linked to one whose worker is gone: it fails with it."""
        self.signal(self.locate(peer), "link_down", peer, pid, Error("linked process ended", CANCELED))

    # Processes ------------------------------------------------------------------------------------------------------

    async def spawn(self, process: str, host: str, *args: Any, **options: Any) -> str:
        """Start a process and return its pid.

        `options`: name, context, actor, scope, monitor (a pid). Raises the Error that says why not.
        """
        record = self._hosts.get(host)
        if record is None:
            raise Error(f"process host {host} not found, or not running", NOT_FOUND)
        if record["limited"] and not self._places.claim(host.encode()):
            raise Error(f"host {host} is full (max_processes)", RATE_LIMITED, retryable=True)
        packed: dict[str | int, Any] = {"n": len(args), **{i + 1: value for i, value in enumerate(args)}}
        if record.get("provider"):
            return await self.isolation.start(process, host, packed, options)
        worker = min((self._workers[i] for i in record["workers"]), key=lambda w: w.load)
        worker.load += 1
        pid: str = await self.request(worker.index, "spawn", process, host, packed, options)
        return pid

    async def spawn_watched(
        self, process: str, host: str, *args: Any, **options: Any
    ) -> tuple[str, asyncio.Future[Exit]]:
        """Start a process; returns its pid and a future of how it ends, which misses nothing however soon that is."""
        watcher = self.mailboxes.new_pid("kernel")
        future = self.mailboxes.expect(watcher)
        try:
            pid = await self.spawn(process, host, *args, monitor=watcher, **options)
        except BaseException:
            self.mailboxes.forget(watcher)
            raise
        return pid, future

    async def send(self, destination: str, topic: str, *values: Any, source: str | None = None) -> None:
        """Send a message to a pid or a registered name; returns when it is in the mailbox.

        Raises Error(NotFound) when there is no such process, Error(RateLimited) when its mailbox is full.
        """
        pid = self.resolve(destination)
        worker = self.locate(pid)
        if worker == PYTHON_SLOT:
            self.mailboxes.deliver(pid, source or "", topic, len(values), *values)
            return
        await self.request(worker, "send", pid, source or self.mailboxes.watcher, topic, len(values), *values)

    def post(self, pid: str, source: str, topic: str, *values: Any) -> None:
        """Send a message without waiting; one to a process that has ended is dropped."""
        self.signal(self.locate(pid), "send", pid, source, topic, len(values), *values)

    async def cancel(self, pid: str, reason: str | None = None) -> None:
        """Ask a process to end: it gets a CANCEL event and may take its time."""
        await self.request(self.locate(pid), "cancel", pid, None, reason)

    async def terminate(self, pid: str) -> None:
        """End a process where it stands."""
        await self.request(self.locate(pid), "terminate", pid)

    async def wait(self, pid: str) -> Exit:
        """Wait until a process ends.

        Raises Error(NotFound) when it has ended already.
        """
        return await (await self.watch(pid))

    async def watch(self, pid: str) -> asyncio.Future[Exit]:
        """Return a future of how a process will end."""
        future = self.mailboxes.expect(pid)
        try:
            await self.request(self.locate(pid), "monitor", pid, self.mailboxes.watcher)
        except Error:
            self.mailboxes.forget(pid)
            raise
        return future

    def open_mailbox(self, host: str, receive: Receive) -> str:
        """Make a pid of Python's whose messages go to `receive(from, topic, values)`."""
        return self.mailboxes.open(host, receive)

    def close_mailbox(self, pid: str) -> None:
        """End such a pid: who monitors it is told."""
        for tell in self.mailboxes.close(pid):
            tell(pid)

    # Hosts ----------------------------------------------------------------------------------------------------------

    def add_host(
        self,
        host: str,
        *,
        workers: list[int],
        max_processes: int = 0,
        limits: Mapping[str, float] | None = None,
        isolated: bool = False,
    ) -> None:
        """Let processes be spawned on a host.

        `limits` go to the scheduler's Lua half: cpu_limit (s) and memory_limit (bytes). With `isolated` every process
        gets a VM and a thread of its own, and the memory limit is that VM's.
        """
        self._places.limit(host, max_processes)
        record: dict[str, Any] = {"id": host, "workers": workers, "limited": max_processes > 0}
        record.update({name: limit for name, limit in (limits or {}).items() if limit})
        if isolated:
            record["provider"] = "kernel.isolated"
        self._hosts[host] = record
        self.announce(host, "host", host, record)

    def host_limit(self, host: str, name: str) -> float:
        """Return a limit of a host; 0 where it has none."""
        limit: float = self._hosts.get(host, {}).get(name, 0)
        return limit

    def remove_host(self, host: str) -> None:
        """Let nothing more be spawned on a host; what runs there goes on."""
        self._hosts.pop(host, None)
        self.announce(host, "host", host, None)

    async def processes(self, host: str) -> list[str]:
        """Return the pids on a host."""
        lists = [await self.request(index, "processes", host) for index in list(self._workers)]
        return [pid for pids in lists for pid in pids]

    def _announce_name(self, name: str, pid: str | None) -> None:
        # Thread workers take it from their deque; the inline worker's VM may be running this very call, so it hears
        # with the event loop's next turn.
        data = pack(["name", name, pid])
        for worker in list(self._workers.values())[1:]:
            worker.tell("signal", data)
        self._loop.call_soon_threadsafe(self._workers[0].tell, "signal", data)

    # Virtual time ---------------------------------------------------------------------------------------------------

    def _expect_idle(self) -> None:
        """Something happened: once a few turns of the loop bring nothing more, time may jump."""
        if self.clock.real:
            return
        self._news += 1
        if self._idle_turns < 0:
            self._loop.call_soon(self._count_idle)
        self._idle_turns = 0

    def _count_idle(self) -> None:
        worker, clock = self._workers[0], self.clock
        assert isinstance(worker, InlineWorker)
        assert isinstance(clock, VirtualClock)
        if worker.busy or clock.held:
            self._idle_turns = -1  # whatever ends this calls _expect_idle
            return
        self._idle_turns += 1
        if self._idle_turns <= IDLE_TURNS:
            self._loop.call_soon(self._count_idle)
            return
        self._idle_turns = -1
        if any(task not in clock.sleepers for task in self._tasks.values()):
            self._loop.call_later(PATIENCE, self._lose_patience, clock, self._news)
            return
        self._jump(clock)

    def _lose_patience(self, clock: VirtualClock, news: int) -> None:
        if news == self._news and not clock.held:
            self._jump(clock)

    def _jump(self, clock: VirtualClock) -> None:
        """Move the clock to the next thing that is due."""
        worker = self._workers[0]
        assert isinstance(worker, InlineWorker)
        deadlines = [d for d in (worker.deadline, clock.next_deadline()) if d is not None]
        if deadlines:
            clock.advance_to(min(deadlines))
            worker.wake()
            self._expect_idle()


def _settle(future: asyncio.Future[Any], value: Any, error: Any) -> None:
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error if isinstance(error, Error) else Error(str(error), INTERNAL))
