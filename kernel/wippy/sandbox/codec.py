"""The Python side of the one codec: MessagePack as kernel chunk `msgpack.lua` writes it.

Text is `str` on both sides of the door as long as it is valid UTF-8; other Lua strings arrive as `bytes`. What Lua
cannot hold (dates, decimals, sets, dataclasses) is refused with a clear error rather than guessed at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from wippy.errors import INVALID, Error

__all__ = ["Payload", "pack", "unpack"]

ERROR = 1
PAYLOAD = 2


class Payload:
    """A value with its format, as `payload.new` makes it in Lua (manual page lua/data/payload).

    No Struct or dataclass: msgspec would write those as maps, without asking `_encode_extra`.
    """

    __slots__ = ("format", "value")

    def __init__(self, format: str, value: Any) -> None:
        self.format = format
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Payload) and (self.format, self.value) == (other.format, other.value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Payload({self.format!r}, {self.value!r})"


def _encode_extra(value: Any) -> Any:
    if isinstance(value, Error):
        fields = {
            "message": value.message,
            "kind": value.kind,
            "retryable": value.retryable,
            "details": value.details,
            "stack": value.stack or None,
        }
        return msgspec.msgpack.Ext(ERROR, pack(fields))
    if isinstance(value, Payload):
        return msgspec.msgpack.Ext(PAYLOAD, pack({"format": value.format, "value": value.value}))
    raise TypeError(f"a {type(value).__name__} cannot cross into Lua")


def _decode_extension(code: int, data: memoryview) -> Any:
    fields = unpack(bytes(data))
    if code == ERROR:
        return Error(
            fields.get("message", ""),
            fields.get("kind", ""),
            retryable=fields.get("retryable"),
            details=fields.get("details") or None,
            stack=fields.get("stack") or "",
        )
    if code == PAYLOAD:
        return Payload(fields.get("format", ""), fields.get("value"))
    raise Error(f"value of unknown extension type {code}", INVALID)


_encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder(enc_hook=_encode_extra).encode
_decode: Callable[[bytes], Any] = msgspec.msgpack.Decoder(ext_hook=_decode_extension).decode


def pack(value: Any) -> bytes:
    """Encode a value for Lua.

    Raises Error(Invalid) for a value that Lua cannot hold.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise Error(f"value cannot cross into Lua: {problem}", INVALID) from None


def unpack(data: bytes) -> Any:
    """Decode a value that Lua wrote."""
    return _decode(data)
