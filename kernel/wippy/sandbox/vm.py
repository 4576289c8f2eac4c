"""One Lua VM: lupa's runtime with the kernel's chunks loaded, and the typed door to it.

Invariant: only bytes, int, float, bool and None cross into Lua. lupa lets a `str` (under encoding=None), a list or a
dict through as a live Python object, and an exception of a callback reaches the user's pcall with its frames: so
callbacks are wrapped here, once, and everything structured travels as MessagePack bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from lupa import lua54

from wippy.errors import KINDS
from wippy.scheduler import preempt

__all__ = ["Scalar", "Vm", "VmSettings"]

Scalar = bytes | int | float | bool | None

#: Kernel chunks in the order they build on each other: (package, name).
CHUNKS = (
    ("sandbox", "handles"),
    ("sandbox", "errors"),
    ("sandbox", "durations"),
    ("sandbox", "values"),
    ("sandbox", "msgpack"),
    ("scheduler", "tasks"),
    ("scheduler", "coroutines"),
    ("scheduler", "channels"),
    ("scheduler", "timers"),
    ("scheduler", "outbox"),
    ("scheduler", "payloads"),
    ("sandbox", "json_encode"),
    ("sandbox", "json_decode"),
    ("scheduler", "processes"),
    ("scheduler", "budgets"),
    ("scheduler", "signals"),
    ("sandbox", "pattern_program"),
    ("sandbox", "pattern_matcher"),
    ("sandbox", "patterns"),
    ("sandbox", "tables"),
    ("sandbox", "sandbox"),
    ("scheduler", "code"),
    ("scheduler", "options"),
    ("scheduler", "functions"),
    ("scheduler", "futures"),
    ("scheduler", "spawn"),
    ("scheduler", "main"),
)

#: Those of them that may be interrupted anywhere: they change nothing that others see, and may run for long.
PREEMPTIBLE = {"values", "json_decode", "pattern_program", "pattern_matcher", "patterns", "tables"}

#: Bytes that the allocator gives beyond the memory limit and a quarter: what the kernel needs to end who took too much.
HEADROOM = 4 << 20


class VmSettings:
    """What differs between VMs: which worker it is, its limits, its clocks and its random source."""

    def __init__(
        self,
        *,
        worker_index: int = 0,
        worker_count: int = 2,
        mailbox_limit: int = 1_000_000,
        memory_limit: int = 0,
        generation: int = 0,
        quantum: float = preempt.QUANTUM,
        stall_limit: float = preempt.STALL_LIMIT,
        native: bool = preempt.NATIVE,
        seed: int = 0,
        clock: Callable[[], float],
        wall_clock: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self.worker_index = worker_index
        self.worker_count = worker_count
        self.mailbox_limit = mailbox_limit
        self.memory_limit = memory_limit
        self.generation = generation
        self.quantum = quantum
        self.stall_limit = stall_limit
        self.native = native
        self.seed = seed
        self.clock = clock
        self.wall_clock = wall_clock
        self.monotonic = monotonic


def _deny(_object: object, _name: object, _setting: bool) -> str:
    # Second line of defence: should a Python object ever get in, none of its attributes can be reached.
    raise AttributeError("access to Python attributes is denied")


@cache
def _source(package: str, name: str) -> bytes:
    return (resources.files("wippy") / package / "lua" / f"{name}.lua").read_bytes()


class Vm:
    """A Lua runtime with the kernel inside. Not thread-safe: one thread at a time may use it."""

    def __init__(self, settings: VmSettings, callbacks: dict[str, Callable[..., Scalar]]) -> None:
        self._lua = lua54.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=False,
            attribute_filter=_deny,
            max_memory=settings.memory_limit and settings.memory_limit + settings.memory_limit // 4 + HEADROOM,
        )
        # Everything that Lua code could use to reach out goes before anything else is loaded.
        self._lua.execute(b"python, io, package, require, dofile, loadfile = nil")
        self._kernel = self._lua.execute(b"return { installed = {}, always = {}, error_kinds = {} }")
        set_field = self._lua.execute(b"return function(t, k, v) t[k] = v end")
        kinds = self._lua.execute(b"return function(kernel) return kernel.error_kinds end")(self._kernel)
        for name, kind in KINDS.items():
            set_field(kinds, name.encode(), kind.encode())
        for name, value in {
            "worker_index": settings.worker_index,
            "worker_count": settings.worker_count,
            "mailbox_limit": settings.mailbox_limit,
            "generation": settings.generation,
            "memory_limit": settings.memory_limit or None,
            "clock": settings.clock,
            "wall_clock": settings.wall_clock,
            "monotonic": settings.monotonic,
            **{name: _guarded(callback) for name, callback in callbacks.items()},
        }.items():
            set_field(self._kernel, name.encode(), value)
        self._lua.execute(
            b"local kernel, seed = ... math.randomseed(seed) "
            b"kernel.random, kernel.math_random = math.random, math.random",
            self._kernel,
            settings.seed,
        )
        load = self._lua.execute(
            b"return function(kernel, source, name) return assert(load(source, name, 't'))(kernel) end"
        )
        for package, name in CHUNKS:
            mark = b"=[kernel]~ " if name in PREEMPTIBLE else b"=[kernel] "
            load(self._kernel, _source(package, name), mark + name.encode())
        self._load = load
        self._watch = preempt.install(
            self._lua,
            self._kernel,
            quantum=settings.quantum,
            stall_limit=settings.stall_limit,
            native=settings.native,
        )
        get = self._lua.execute(b"return function(kernel, name) return kernel.entry[name] end")
        entries = (
            "step",
            "signal",
            "complete",
            "sink_push",
            "sink_close",
            "call",
            "cancel_call",
            "memory",
            "check",
            "panic",
        )
        for name in entries:
            setattr(self, name, get(self._kernel, name.encode()))

    step: Callable[..., Any]
    signal: Callable[[bytes], None]
    complete: Callable[[int, bool, bytes], None]
    sink_push: Callable[[int, bytes], None]
    sink_close: Callable[[int], None]
    call: Callable[..., None]
    cancel_call: Callable[[int], None]
    memory: Callable[[], int]
    check: Callable[[bytes, bytes], bytes | None]
    panic: Callable[[bytes], None]

    def leave(self) -> None:
        """Tell that the thread which gave this VM its time is about to end; call it on that thread."""
        preempt.leave(self._watch)

    def extend(self, name: str, source: bytes) -> Any:
        """Load a chunk of a plugin that works inside the VM with the kernel's own rights; returns what it returns."""
        return self._load(self._kernel, source, b"=[kernel] " + name.encode())


def _guarded(callback: Callable[..., Scalar]) -> Callable[..., Scalar]:
    def call(*args: Scalar) -> Scalar:
        try:
            return callback(*args)
        except Exception:  # an exception must never reach Lua: it would carry its frames along
            return None

    return call
