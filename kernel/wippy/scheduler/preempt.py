"""Preemption: a task that computes for long gives way to the others, and a runaway is stopped.

With the optional extension (`_native.c`) this costs a running program nothing: a watchdog thread signals the thread of
a slice that took longer than its quantum. Without it every coroutine carries a count hook, which makes tight loops
about half as fast and otherwise behaves the same.
"""

from __future__ import annotations

import atexit
import re
import time
from importlib import resources
from typing import Any

from lupa import lua54

__all__ = ["NATIVE", "QUANTUM", "REASON", "STALL_LIMIT", "install", "leave"]

#: Seconds that a slice may take before its running task is preempted.
QUANTUM = 0.004

#: Seconds of processor time that a task may hold its VM where it cannot be preempted, below a C function.
STALL_LIMIT = 0.25

#: What the native part leaves in the VM's globals, to be moved into the kernel's table.
_NAMES = ("resume", "close_coroutine", "end_slice", "killed", "monotonic", "cpu_clock")

try:
    from wippy.scheduler import _native

    _native.bind(lua54.__file__)
except ImportError as problem:
    #: Whether preemption is native.
    NATIVE = False
    #: Why preemption is as it is, for `wippy doctor`.
    REASON = f"count hook, because the native part is missing ({problem}): reinstall wippy-kernel with a C compiler"
else:
    NATIVE = True
    REASON = "native, by signal"
    # Threads that still run Lua when the interpreter ends must not be signalled any more.
    atexit.register(_native.shutdown)


def install(lua: Any, kernel: Any, *, quantum: float, stall_limit: float, native: bool = NATIVE) -> Any:
    """Make a VM preemptible: `lua` is its runtime, `kernel` the kernel's table. Times are in seconds.

    Call it after the kernel's chunks are loaded, on no coroutine. The VM is watched while the returned object lives.
    """
    lua.execute(b"local kernel, quantum, stall = ... kernel.quantum, kernel.stall_limit = quantum, stall",
                kernel, quantum, stall_limit)  # fmt: skip
    if not native:
        return _install_count_hook(lua, kernel)
    thread = lua.execute(b"return tostring(coroutine.running())")
    watch = _native.install(_address(thread), quantum, stall_limit)
    for name in _NAMES:
        lua.execute(b"local kernel, name = ... kernel[name], _G[name] = _G[name], nil", kernel, name.encode())
    return watch


def leave(watch: Any) -> None:
    """Tell that the thread which ran a VM is about to end; call it on that thread."""
    if watch is not None:
        _native.leave(watch)


def _address(thread: bytes) -> int:
    match = re.fullmatch(rb"thread: (?:0x)?([0-9a-fA-F]+)", thread)
    assert match, thread
    return int(match[1], 16)


def _install_count_hook(lua: Any, kernel: Any) -> None:
    from wippy.scheduler.counthook import yield_soon

    source = (resources.files("wippy.scheduler") / "lua" / "counthook.lua").read_bytes()
    load = lua.execute(b"return function(source, ...) return assert(load(source, '=[kernel] counthook', 't'))(...) end")

    def arm(thread: bytes) -> None:
        yield_soon(_address(thread))

    load(source, kernel, arm, time.thread_time)
