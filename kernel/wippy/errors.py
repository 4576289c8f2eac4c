"""The one error type that crosses every seam: Lua, Python, workers and the wire.

Source of the behaviour: manual page `lua/core/errors` and the error rows of the reference.
"""

from __future__ import annotations

from typing import Any

__all__ = ["KINDS", "Error", "kind_of"]

UNKNOWN = ""
INVALID = "Invalid"
NOT_FOUND = "NotFound"
ALREADY_EXISTS = "AlreadyExists"
PERMISSION_DENIED = "PermissionDenied"
UNAVAILABLE = "Unavailable"
INTERNAL = "Internal"
CANCELED = "Canceled"
CONFLICT = "Conflict"
TIMEOUT = "Timeout"
RATE_LIMITED = "RateLimited"

#: Constant name, as Lua sees it in `errors.NAME`, to the kind string that an error carries.
KINDS: dict[str, str] = {
    "UNKNOWN": UNKNOWN,
    "INVALID": INVALID,
    "NOT_FOUND": NOT_FOUND,
    "ALREADY_EXISTS": ALREADY_EXISTS,
    "PERMISSION_DENIED": PERMISSION_DENIED,
    "UNAVAILABLE": UNAVAILABLE,
    "INTERNAL": INTERNAL,
    "CANCELED": CANCELED,
    "CONFLICT": CONFLICT,
    "TIMEOUT": TIMEOUT,
    "RATE_LIMITED": RATE_LIMITED,
}


def kind_of(name: str) -> str:
    """Return the kind string for a constant name; an unknown name is a kind of its own and comes back unchanged."""
    return KINDS.get(name, name)


class Error(Exception):
    """A failure with a kind, as `value, err` pairs carry it.

    `retryable` is None where nobody said; `details` is data for programs; `stack` is text for people.
    """

    def __init__(
        self,
        message: str,
        kind: str = UNKNOWN,
        *,
        retryable: bool | None = None,
        details: dict[str, Any] | None = None,
        stack: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind_of(kind)
        self.retryable = retryable
        self.details = details or None
        self.stack = stack

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"Error({self.message!r}, {self.kind!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.message, self.kind, self.retryable, self.details, self.stack)

    @classmethod
    def of(cls, exception: BaseException, kind: str = INTERNAL) -> Error:
        """Return `exception` itself if it is an Error, else an Error of `kind` with its message."""
        if isinstance(exception, Error):
            return exception
        return cls(str(exception) or type(exception).__name__, kind)


def _restore(message: str, kind: str, retryable: bool | None, details: dict[str, Any] | None, stack: str) -> Error:
    return Error(message, kind, retryable=retryable, details=details, stack=stack)
