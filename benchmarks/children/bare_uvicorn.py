"""uvicorn with an ASGI application that answers a constant: what HTTP figures are compared with."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

BODY = b'{"message":"hello","method":"GET"}'
START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
}
END: dict[str, Any] = {"type": "http.response.body", "body": BODY}


async def hello(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    await send(START)
    await send(END)


uvicorn.run(hello, port=int(sys.argv[1]), log_level="critical", access_log=False, lifespan="off")
