"""Calls that enter the node from outside Lua, and the interceptors that plugins wrap around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

__all__ = ["FunctionCall", "Interceptor", "chain"]


class FunctionCall(msgspec.Struct):
    """One call: the entry id, its arguments, and the options of Node.call (context, timeout, actor, scope)."""

    function: str
    args: tuple[Any, ...]
    options: dict[str, Any]


Proceed = Callable[[FunctionCall], Awaitable[Any]]


class Interceptor(Protocol):
    """Wraps calls: tracing, metrics, quotas. Returned by the hook `function_interceptors`."""

    async def around(self, call: FunctionCall, proceed: Proceed) -> Any:
        """Do something around `await proceed(call)` and return its value, or raise."""


def chain(interceptors: Sequence[Interceptor], call: FunctionCall, last: Proceed) -> Awaitable[Any]:
    """Run a call through interceptors, the first one outermost."""
    if not interceptors:
        return last(call)
    head, *rest = interceptors
    return head.around(call, lambda inner: chain(rest, inner, last))
