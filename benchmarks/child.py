"""Child processes: what must not share the measuring interpreter (servers, memory, cold starts)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

__all__ = ["Failed", "check", "command", "first_answer", "free_port", "get", "measure", "running", "server"]

SCRIPTS = Path(__file__).parent / "children"

#: Seconds that a server may take until it accepts connections, and to end after SIGTERM.
START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
POLL = 0.005


class Failed(Exception):
    """A child ended with an error; the text is what it wrote to stderr."""


def command(script: str, *args: str, profile: Path | None = None) -> list[str]:
    """Return the command line of `children/<script>.py`; with `profile` it runs under cProfile, which writes there."""
    profiler = [str(SCRIPTS / "profiled.py"), str(profile)] if profile else []
    return [sys.executable, "-P", *profiler, str(SCRIPTS / f"{script}.py"), *args]


async def measure(script: str, *args: str) -> dict[str, float]:
    """Run a child to its end and return the figures that it prints as JSON. Raises Failed."""
    process = await asyncio.create_subprocess_exec(
        *command(script, *args), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode:
        raise Failed(f"{script} {' '.join(args)}: {err.decode().strip()}")
    figures: dict[str, float] = json.loads(out)
    return figures


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def get(port: int, path: str) -> bytes:
    """Return the whole answer to one GET request. Raises OSError when nobody listens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def check(answer: bytes) -> None:
    """Raise Failed with the answer unless its status is 200."""
    if b" 200 " not in answer.split(b"\r\n", 1)[0]:
        raise Failed(f"a server answered {answer.decode(errors='replace')}")


async def first_answer(process: asyncio.subprocess.Process, port: int, path: str) -> bytes:
    """Return the first answer of a server that starts up. Raises Failed when it ends, TimeoutError when it hangs."""
    async with asyncio.timeout(START_TIMEOUT):
        while True:
            with suppress(OSError):
                answer = await get(port, path)
                if answer:
                    return answer
            if process.returncode is not None:
                assert process.stderr is not None
                raise Failed((await process.stderr.read()).decode().strip())
            await asyncio.sleep(POLL)


@asynccontextmanager
async def running(
    arguments: list[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a server until the block ends; then it gets SIGTERM and time to end."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=dict(os.environ if environment is None else environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def server(script: str, *args: str, path: str, profile: Path | None = None) -> AsyncIterator[int]:
    """Run `children/<script>.py PORT args…` until the block ends; yields the port once `path` answers with 200."""
    port = free_port()
    async with running(command(script, str(port), *args, profile=profile)) as process:
        check(await first_answer(process, port, path))
        yield port
