"""Message bodies: values to bytes and back (manual page system/queue, "Codecs")."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wippy.errors import INVALID, Error
from wippy.sandbox.codec import Payload, pack, unpack

__all__ = ["JSON", "MSGPACK", "decode_body", "encode_body"]

JSON: Final = "json/plain"
MSGPACK: Final = "application/msgpack"


def _plain(value: Any) -> Any:
    """Return what stands for a value that JSON does not know, as json.encode in Lua has it."""
    if isinstance(value, Error):
        return value.message
    if isinstance(value, Payload):
        return value.value
    raise TypeError(f"a {type(value).__name__} cannot be encoded")


_encode_json = msgspec.json.Encoder(enc_hook=_plain).encode
_decode_json = msgspec.json.Decoder().decode


def encode_body(codec: str, value: Any) -> bytes:
    """Encode a body.

    Raises Error(Invalid) for a value that the codec cannot hold.
    """
    if codec == MSGPACK:
        return pack(value)
    if _holds_bytes(value):
        raise Error(
            f"binary data does not fit codec {JSON}: set `codec: {MSGPACK}` on the queue", INVALID, retryable=False
        )
    try:
        return _encode_json(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise Error(f"message cannot be encoded as {JSON}: {problem}", INVALID, retryable=False) from None


def decode_body(content_type: str, body: bytes) -> Any:
    """Decode a body; any content type but MessagePack's is read as JSON.

    Raises Error(Invalid) for a body that is not what its content type says.
    """
    try:
        return unpack(body) if content_type == MSGPACK else _decode_json(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise Error(f"message body is not valid {content_type}: {problem}", INVALID, retryable=False) from None


def _holds_bytes(value: Any) -> bool:
    """Tell whether there are bytes in a value: msgspec would write them as base64 without a word."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind is dict:
            waiting.extend(value)
            waiting.extend(value.values())
        elif kind is list:
            waiting.extend(value)
        elif kind is bytes:
            return True
    return False
