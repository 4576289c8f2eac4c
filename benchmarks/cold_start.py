"""Starting: the interpreter, the kernel, and the example application until its first answer."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import yaml

from benchmarks.child import Failed, check, command, first_answer, free_port, running
from benchmarks.environment import installed, need_kind, uncached
from benchmarks.runner import Line, Missing, Row, Sample, Settings, Skipped, Target, alternate

__all__ = ["rows"]

EXAMPLE = Path(__file__).parent.parent / "examples" / "orders"
ANSWERS = "/api/orders"
MEGABYTE = 1024 * 1024


def cached_environment(directory: Path) -> dict[str, str]:
    """Return an environment in which Python keeps .pyc files, for all modules, in a directory of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**environment, "PYTHONPYCACHEPREFIX": str(directory)}


async def boot(script: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Start a child that prints its resident memory when it is up; returns seconds until then, and MB."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command(script), env=dict(environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    seconds = time.perf_counter() - started
    _, err = await process.communicate()
    if process.returncode or not line:
        raise Failed(f"{script}: {err.decode().strip()}")
    return seconds, int(line) / MEGABYTE


async def serve(arguments: list[str], port: int, path: str, environment: Mapping[str, str]) -> float:
    """Start a server and stop it; returns seconds until its first answer, which must be a success."""
    started = time.perf_counter()
    async with running(arguments, environment) as process:
        answer = await first_answer(process, port, path)
        seconds = time.perf_counter() - started
    check(answer)
    return seconds


async def rows(settings: Settings) -> AsyncIterator[Line]:
    """Yield the figures of cold starts."""
    with tempfile.TemporaryDirectory() as directory:
        cached = cached_environment(Path(directory, "pyc"))
        async for line in _kernel(settings, cached):
            yield line
        try:
            async for line in _example(settings, cached, Path(directory)):
                yield line
        except Missing as reason:
            yield Skipped("example application", str(reason))


async def _kernel(settings: Settings, cached: Mapping[str, str]) -> AsyncIterator[Line]:
    memory: dict[str, list[float]] = {"kernel": [], "python": []}

    async def start(script: str, environment: Mapping[str, str]) -> float:
        seconds, megabytes = await boot(script, environment)
        if environment is cached:
            memory[script].append(megabytes)
        return seconds

    for script in memory:
        await boot(script, cached)  # writes the .pyc files
    found = await alternate(
        settings.rounds,
        kernel=lambda: start("kernel", cached),
        python=lambda: start("python", cached),
        installed=lambda: start("kernel", os.environ),
    )
    sizes = {name: Sample(tuple(values)) for name, values in memory.items()}
    against = "Python alone"
    yield Row("kernel up, with .pyc", found["kernel"], "s", against, found["python"], Target("ours", "<=", 0.25))
    yield Row(f"kernel up, {_as_installed()}", found["installed"], "s", against, found["python"])
    yield Row("kernel resident", sizes["kernel"], "MB", against, sizes["python"], Target("ours", "<=", 40))


async def _example(settings: Settings, cached: Mapping[str, str], directory: Path) -> AsyncIterator[Line]:
    if not installed("uvicorn"):
        raise Missing("uvicorn is not installed: nothing to compare with")
    need_kind(*_kinds())

    async def application(environment: Mapping[str, str]) -> float:
        port = free_port()
        # A database of its own for every start: the first start of an application includes making its tables.
        with tempfile.TemporaryDirectory(dir=directory) as data:
            own = {"ORDERS_ADDRESS": f"127.0.0.1:{port}", "ORDERS_DATABASE": f"{data}/orders.db"}
            arguments = command("application", "-", str(EXAMPLE))
            return await serve(arguments, port, ANSWERS, {**environment, **own})

    async def bare() -> float:
        port = free_port()
        return await serve(command("bare_uvicorn", str(port)), port, "/", cached)

    await application(cached)
    await bare()
    found = await alternate(
        settings.rounds,
        cached=lambda: application(cached),
        bare=bare,
        installed=lambda: application(os.environ),
    )
    against = "bare uvicorn"
    what = f"{EXAMPLE.name} to first answer"
    yield Row(f"{what}, with .pyc", found["cached"], "s", against, found["bare"], Target("ours", "<=", 0.8))
    yield Row(f"{what}, {_as_installed()}", found["installed"], "s", against, found["bare"])


def _kinds() -> set[str]:
    """Return the kinds that the example uses; the linker's own need no plugin."""
    indexes = [yaml.safe_load(path.read_text()) for path in EXAMPLE.glob("src/**/_index.yaml")]
    if not indexes:
        raise Missing(f"there is no application in examples/{EXAMPLE.name}")
    kinds = {entry["kind"] for index in indexes for entry in index["entries"]}
    return {kind for kind in kinds if not kind.startswith("ns.")}


def _as_installed() -> str:
    missing, count = uncached()
    return f"as installed ({missing} of {count} without .pyc)"
