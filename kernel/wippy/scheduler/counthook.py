"""The one step of preemption that Lua's own debug library cannot take: a hook that yields.

A Lua function that runs as a hook cannot yield, a C function can. Here it is a ctypes callback, called at the instruction
after the Lua hook found that a slice is over. lua_yieldk only marks the coroutine when it is called from a hook, so no
jump crosses Python's frames.
"""

from __future__ import annotations

import ctypes

from lupa import lua54

__all__ = ["yield_soon"]

_MASK_COUNT = 1 << 3

#: Instructions between two looks at the clock (counthook.lua sets the same).
_INTERVAL = 10_000


class _Debug(ctypes.Structure):
    # lua_Debug of Lua 5.4 as far as it is read here; the rest is room for what lua_getinfo writes.
    _fields_ = (
        ("event", ctypes.c_int),
        ("name", ctypes.c_void_p),
        ("namewhat", ctypes.c_void_p),
        ("what", ctypes.c_void_p),
        ("source", ctypes.c_char_p),
    )


_Hook = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Debug))

# PyDLL: these calls are shorter than giving the interpreter's lock away and taking it again.
_lua = ctypes.PyDLL(lua54.__file__)
_lua.lua_sethook.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
_lua.lua_sethook.restype = None
_lua.lua_gethook.argtypes = (ctypes.c_void_p,)
_lua.lua_gethook.restype = ctypes.c_void_p
_lua.lua_getinfo.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_Debug))
_lua.lua_isyieldable.argtypes = (ctypes.c_void_p,)
_lua.lua_yieldk.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_ssize_t, ctypes.c_void_p)

_count_hooks: list[int] = []  # the debug library's hook function, once it was seen


@_Hook  # type: ignore[untyped-decorator]
def _yield(state: int, activation: ctypes._Pointer[_Debug]) -> None:
    _lua.lua_getinfo(state, b"S", activation)
    source = activation.contents.source or b""
    if source.startswith(b"=[kernel]") and not source.startswith(b"=[kernel]~"):
        return  # kernel code is not interrupted: look again at the next instruction
    _lua.lua_sethook(state, _count_hooks[0], _MASK_COUNT, _INTERVAL)
    if _lua.lua_isyieldable(state):
        _lua.lua_yieldk(state, 0, 0, None)


def yield_soon(state: int) -> None:
    """Let the coroutine at this address yield as soon as it runs code that may be interrupted."""
    if not _count_hooks:
        _count_hooks.append(_lua.lua_gethook(state))
    _lua.lua_sethook(state, ctypes.cast(_yield, ctypes.c_void_p), _MASK_COUNT, 1)
