"""quart on hypercorn with the same hello."""

import asyncio
import signal
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, request

app = Quart(__name__)


@app.get("/hello")
async def hello() -> dict[str, str]:
    return {"message": "hello", "method": request.method}


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.keep_alive_max_requests = 1_000_000_000  # as uvicorn, which sets no limit
    await serve(app, config, shutdown_trigger=stop.wait)


try:
    import uvloop
except ImportError:
    asyncio.run(main())
else:
    uvloop.run(main())
