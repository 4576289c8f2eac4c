"""The node: its workers, the routes between them, and what Python asks of processes and functions."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from wippy.errors import CANCELED, INTERNAL, INVALID, NOT_FOUND, Error
from wippy.sandbox.codec import pack, unpack
from wippy.sandbox.vm import Scalar, Vm, VmSettings
from wippy.scheduler.clock import Clock, RealClock, VirtualClock
from wippy.scheduler.commands import Call, Commands, Sink
from wippy.scheduler.worker import CANCEL, COMMAND, LOG, REPLY, SIGNAL, SLOTS, InlineWorker, ThreadWorker, Worker

__all__ = ["Exit", "Node", "NodeSettings"]

log = logging.getLogger("wippy")

_PID = re.compile(r"^\{(.*)\|0x([0-9a-f]+)\}$")
_LEVELS = {b"debug": logging.DEBUG, b"info": logging.INFO, b"warn": logging.WARNING, b"error": logging.ERROR}


class NodeSettings(msgspec.Struct):
    """`threads`: workers beside the inline one. `seed` makes a run with a virtual clock reproducible."""

    threads: int = 0
    clock: Clock = msgspec.field(default_factory=RealClock)
    seed: int | None = None
    mailbox_limit: int = 1_000_000
    memory_limit: int = 0


class Exit(msgspec.Struct):
    """How a process ended: its value, or its error."""

    value: Any = None
    error: Error | None = None


#: Gives the code bundle of an entry: {"modules": [...], "entries": [...]} as scheduler/lua/code.lua wants it.
CodeSource = Callable[[str], Awaitable[dict[str, Any]]]


class Node:
    """Everything that runs in one Python process. Use it from the event loop's thread only."""

    def __init__(self, settings: NodeSettings, commands: Commands, code_source: CodeSource) -> None:
        self.clock = settings.clock
        self.commands = commands
        self._settings = settings
        self._code_source = code_source
        self._workers: list[Worker] = []
        self._tasks: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._requests: dict[int, asyncio.Future[Any]] = {}
        self._exits: dict[str, list[asyncio.Future[Exit]]] = {}
        self._sinks: dict[tuple[int, int], Callable[[], None]] = {}
        self._last_id = 0
        self._last_pid = 0
        self._names: dict[str, str] = {}
        self._names_lock = threading.Lock()
        self._places: dict[str, list[int]] = {}
        self._handlers = {
            "reply": self._on_reply,
            "exited": self._on_exited,
            "request": self._on_request,
            "send": self._on_send,
            "gone": lambda pid: None,
            "link_down": lambda pid, source, error: None,
        }
        self._mailboxes: dict[str, Callable[[str, str, tuple[Any, ...]], None]] = {}
        self._waking = False

    # Life -----------------------------------------------------------------------------------------------------------

    @property
    def slots(self) -> int:
        """How many residues a pid's number can have: one for every VM, and the last for Python's own mailboxes."""
        return self._settings.threads + 2

    @property
    def thread_workers(self) -> list[int]:
        return list(range(1, self._settings.threads + 1))

    async def start(self) -> None:
        """Make the VMs and begin to run them."""
        self._loop = asyncio.get_running_loop()
        self.commands.register("kernel.code", self._code)
        self.commands.freeze()
        for index in range(self._settings.threads + 1):
            kind = InlineWorker if index == 0 else ThreadWorker
            worker = kind(index, self._make_vm(index), self.clock, self._drain, self._lightest)
            self._workers.append(worker)
        for worker in self._workers:
            worker.start()

    async def stop(self) -> None:
        """Stop all workers and cancel what they wait for."""
        for worker in self._workers:
            await worker.stop()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for future in [*self._calls.values(), *self._requests.values()]:
            if not future.done():
                future.set_exception(Error("the node stopped", CANCELED))
                future.exception()

    def _make_vm(self, index: int) -> Vm:
        seed = self._settings.seed
        settings = VmSettings(
            worker_index=index,
            worker_count=self.slots,
            mailbox_limit=self._settings.mailbox_limit,
            memory_limit=self._settings.memory_limit,
            seed=time.time_ns() if seed is None else seed + index,
            clock=self.clock.now,
            wall_clock=self.clock.wall,
            monotonic=time.monotonic,
        )
        return Vm(
            settings,
            {
                "claim_name": self._claim_name,
                "release_name": self._release_name,
                "claim_place": self._claim_place,
                "release_place": self._release_place,
            },
        )

    def extend(self, name: str, source: bytes) -> None:
        """Load a plugin's in-VM chunk on every worker; call before `start` has let anything run."""
        for worker in self._workers:
            worker.vm.extend(name, source)

    def _lightest(self) -> tuple[int, int]:
        workers = self._workers[1:] or self._workers
        lightest = min(workers, key=lambda w: w.load)
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
        if not self.clock.real:
            self._expect_idle()

    def _route(self, target: int, data: bytes) -> None:
        if target < len(self._workers):
            self._workers[target].tell("signal", data)
            return
        op, *values = unpack(data)
        self._handlers[op](*values)

    def _log(self, level: bytes, message: bytes, record: bytes) -> None:
        fields = unpack(record)
        if not isinstance(fields, dict):
            fields = {}
        log.log(_LEVELS.get(level, logging.INFO), "%s", message.decode(errors="replace"), extra={"wippy": fields})

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

    # Calls and processes --------------------------------------------------------------------------------------------

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def call(
        self,
        function: str,
        *args: Any,
        context: dict[str, Any] | None = None,
        timeout: float | None = None,
        identity: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function and return its value.

        `timeout` in seconds; `identity` is {"actor", "scope"} as the security plugin makes it. Raises the call's Error.
        Cancelling the caller ends the call.
        """
        call_id = self._next_id()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._calls[call_id] = future
        options = {**(identity or {}), "context": context, "timeout": timeout}
        worker = self._workers[0]
        try:
            worker.tell("call", call_id, function.encode(), pack(list(args)), pack(options))
            return await future
        except asyncio.CancelledError:
            worker.tell("cancel_call", call_id)
            raise
        finally:
            self._calls.pop(call_id, None)

    def _reply(self, call_id: int, ok: bool, data: bytes) -> None:
        future = self._calls.get(call_id)
        if future is None or future.done():
            return
        value = unpack(data)
        if ok:
            future.set_result(value)
        else:
            future.set_exception(Error.of(value) if isinstance(value, Exception) else Error(str(value), INTERNAL))

    def locate(self, pid: str) -> int:
        """Return the index of the worker that a pid lives on.

        Raises Error(Invalid) for what is no pid.
        """
        match = _PID.match(pid)
        if not match:
            raise Error(f'"{pid}" is not a pid', INVALID)
        return (int(match[2], 16) - 1) % self.slots

    def signal(self, worker: int, op: str, *values: Any) -> None:
        self._workers[worker].tell("signal", pack([op, *values]))

    def broadcast(self, op: str, *values: Any) -> None:
        """Send a signal to every worker."""
        data = pack([op, *values])
        for worker in self._workers:
            worker.tell("signal", data)

    async def request(self, worker: int, op: str, *values: Any) -> Any:
        """Ask a worker; returns its value or raises its Error."""
        request_id = self._next_id()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._requests[request_id] = future
        try:
            self.signal(worker, "request", self.slots - 1, request_id, op, *values)
            return await future
        finally:
            self._requests.pop(request_id, None)

    def _on_reply(self, request_id: int, value: Any = None, error: Any = None) -> None:
        future = self._requests.get(request_id)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    async def spawn(self, process: str, host: str, *args: Any, **options: Any) -> str:
        """Start a process and return its pid.

        `options`: name, context, actor, scope, monitor (a pid). Raises the Error that says why not.
        """
        record = self._hosts.get(host)
        if record is None:
            raise Error(f"process host {host} not found, or not running", NOT_FOUND)
        workers = [w for w in self._workers if w.index in record["workers"]]
        worker = min(workers, key=lambda w: w.load)
        if record["limited"] and not self._claim_place(host.encode()):
            raise Error(f"host {host} is full (max_processes)", "RateLimited", retryable=True)
        worker.load += 1
        packed = {"n": len(args), **{i + 1: a for i, a in enumerate(args)}}
        pid: str = await self.request(worker.index, "spawn", process, host, packed, options)
        return pid

    async def send(self, pid: str, topic: str, *values: Any) -> None:
        """Send a message to a pid or a registered name.

        Raises Error(NotFound) when there is no such process.
        """
        pid = self.resolve(pid)
        self.signal(self.locate(pid), "send", pid, None, topic, len(values), *values)

    def resolve(self, destination: str) -> str:
        """Return the pid that a pid or registered name means."""
        if destination.startswith("{"):
            return destination
        pid = self._names.get(destination)
        if pid is None:
            raise Error(f'process "{destination}" not found', NOT_FOUND)
        return pid

    async def cancel(self, pid: str, reason: str | None = None) -> None:
        await self.request(self.locate(pid), "cancel", pid, None, reason)

    async def terminate(self, pid: str) -> None:
        await self.request(self.locate(pid), "terminate", pid)

    async def wait(self, pid: str) -> Exit:
        """Wait until a process ends.

        Raises Error(NotFound) when it has ended already.
        """
        future = await self.watch(pid)
        return await future

    async def watch(self, pid: str) -> asyncio.Future[Exit]:
        """Return a future of how a process will end."""
        future: asyncio.Future[Exit] = self._loop.create_future()
        self._exits.setdefault(pid, []).append(future)
        try:
            await self.request(self.locate(pid), "monitor", pid, self._watcher)
        except Error:
            self._exits.pop(pid, None)
            raise
        return future

    def _on_exited(self, _watcher: str, pid: str, value: Any = None, error: Error | None = None) -> None:
        for future in self._exits.pop(pid, ()):
            if not future.done():
                future.set_result(Exit(value, error))

    # Python's own mailboxes -----------------------------------------------------------------------------------------

    def new_pid(self, host: str) -> str:
        """Return a fresh pid that belongs to Python."""
        number = self._last_pid * self.slots + self.slots
        self._last_pid += 1
        return f"{{{host}|0x{number:05x}}}"

    @property
    def _watcher(self) -> str:
        return f"{{kernel|0x{self.slots:05x}}}"

    def open_mailbox(self, host: str, receive: Callable[[str, str, tuple[Any, ...]], None]) -> str:
        """Make a pid whose messages go to `receive(from, topic, values)`."""
        pid = self.new_pid(host)
        self._mailboxes[pid] = receive
        return pid

    def close_mailbox(self, pid: str) -> None:
        self._mailboxes.pop(pid, None)

    def _on_send(self, pid: str, source: str, topic: str, _count: int, *values: Any) -> None:
        receive = self._mailboxes.get(pid)
        if receive:
            receive(source, topic, values)

    def _on_request(self, worker: int, request_id: int, op: str, pid: str, *_values: Any) -> None:
        if pid in self._mailboxes:
            self.signal(worker, "reply", request_id, True)
        else:
            self.signal(worker, "reply", request_id, None, Error(f"process {pid} not found", NOT_FOUND))

    # Hosts, names, limits -------------------------------------------------------------------------------------------

    @property
    def _hosts(self) -> dict[str, dict[str, Any]]:
        return self.__dict__.setdefault("_host_records", {})  # type: ignore[no-any-return]

    def add_host(self, host: str, *, max_processes: int = 0, workers: list[int] | None = None) -> None:
        """Make a process host known to every worker. Without threads everything runs inline."""
        record = {
            "id": host,
            "workers": workers or self.thread_workers or [0],
            "limited": max_processes > 0,
        }
        self._places[host] = [0, max_processes]
        self._hosts[host] = record
        self.broadcast("host", host, record)

    def remove_host(self, host: str) -> None:
        self._hosts.pop(host, None)
        self.broadcast("host", host, None)

    def _claim_place(self, host: Scalar) -> Scalar:
        assert isinstance(host, bytes)
        with self._names_lock:
            place = self._places[host.decode()]
            if place[0] >= place[1]:
                return False
            place[0] += 1
            return True

    def _release_place(self, host: Scalar) -> Scalar:
        assert isinstance(host, bytes)
        with self._names_lock:
            self._places[host.decode()][0] -= 1
        return None

    def _claim_name(self, name: Scalar, pid: Scalar) -> Scalar:
        assert isinstance(name, bytes)
        assert isinstance(pid, bytes)
        with self._names_lock:
            holder = self._names.setdefault(name.decode(), pid.decode())
            if holder == pid.decode():
                self._announce(name.decode(), holder)
            return holder.encode()

    def _release_name(self, name: Scalar, pid: Scalar) -> Scalar:
        assert isinstance(name, bytes)
        assert isinstance(pid, bytes)
        with self._names_lock:
            if self._names.get(name.decode()) == pid.decode():
                del self._names[name.decode()]
                self._announce(name.decode(), None)
        return None

    def _announce(self, name: str, pid: str | None) -> None:
        # Under the lock, so that every worker hears of names in one order. Thread workers take it from their deque;
        # the inline worker's VM may be running this very call, so it hears with the event loop's next turn.
        data = pack(["name", name, pid])
        for worker in self._workers[1:]:
            worker.tell("signal", data)
        self._loop.call_soon_threadsafe(self._workers[0].tell, "signal", data)

    # Virtual time ---------------------------------------------------------------------------------------------------

    def _expect_idle(self) -> None:
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._jump_if_idle)

    def _jump_if_idle(self) -> None:
        self._waking = False
        worker = self._workers[0]
        assert isinstance(worker, InlineWorker)
        assert isinstance(self.clock, VirtualClock)
        if worker.busy or self._tasks:
            if worker.busy:
                self._expect_idle()
            return
        if worker.deadline is not None:
            self.clock.advance_to(worker.deadline)
            worker.wake()
            self._expect_idle()
