"""For tests, ours and users': applications from a few lines, and time that jumps.

With the virtual clock a sleep takes no time: when nothing is left to do, the clock jumps to the next deadline. With a
seed the run is the same every time. Real input and output (servers, databases) still takes its own time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wippy.app import App
from wippy.registry.entry import Entry
from wippy.scheduler.clock import RealClock, VirtualClock
from wippy.scheduler.node import NodeSettings
from wippy.scheduler.simulation import SimulatedNode

__all__ = ["app_at", "app_of", "explore", "function", "host", "library", "process", "run_lua", "write_app"]

#: Seconds of a slice where the machine's speed must not matter.
UNDISTURBED = 3600.0

#: Files that belong beside `src`, not into it.
ROOT_FILES = (".wippy.yaml", "wippy.lock")


def write_app(directory: Path, files: Mapping[str, str]) -> Path:
    """Write an application: `.wippy.yaml` and `wippy.lock` into the directory, every other file under its `src`."""
    for name, text in files.items():
        path = directory / name if name in ROOT_FILES else directory / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


@asynccontextmanager
async def app_at(
    directory: Path, files: Mapping[str, str], *, virtual: bool = True, seed: int = 1, **options: Any
) -> AsyncIterator[App]:
    """Write an application and run it; `options` are those of App."""
    clock = VirtualClock() if virtual else RealClock()
    async with App(write_app(directory, files), clock=clock, seed=seed, **options) as app:
        yield app


@asynccontextmanager
async def app_of(*entries: Entry, virtual: bool = True, seed: int = 1, **options: Any) -> AsyncIterator[App]:
    """Run an application made of entries alone."""
    clock = VirtualClock() if virtual else RealClock()
    async with App(None, entries=entries, clock=clock, seed=seed, **options) as app:
        yield app


@asynccontextmanager
async def explore(
    seed: int,
    *entries: Entry,
    workers: int = 2,
    chunks: Mapping[str, str] | None = None,
    trace: list[str] | None = None,
    mailbox_limit: int = 1_000_000,
    **options: Any,
) -> AsyncIterator[App]:
    """Run an application made of entries under one of its possible interleavings, which the seed decides.

    The same seed gives the same run. Processes live on `workers` simulated workers (0: in the event loop's VM) that take
    turns in this thread; see wippy.scheduler.simulation. `trace` gets a line for every event of the scheduler. `chunks`
    are Lua chunks (name: source) that are loaded into every VM first, with the kernel's rights: to plant faults or look
    inside.
    """
    clock = VirtualClock()
    app = App(None, entries=entries, clock=clock, seed=seed, **options)
    settings = NodeSettings(clock=clock, seed=seed, mailbox_limit=mailbox_limit, quantum=UNDISTURBED)
    app.node = SimulatedNode(
        settings, app.node.commands, app._code_bundle, workers=workers, chunks=dict(chunks or {}), trace=trace
    )
    async with app:
        yield app


def function(entry_id: str, source: str, modules: Iterable[str] = (), **data: Any) -> Entry:
    """Return a function.lua entry; `source` is the whole chunk."""
    return Entry(entry_id, "function.lua", data={"source": source, "method": "main", "modules": list(modules), **data})


def library(entry_id: str, source: str, modules: Iterable[str] = (), **data: Any) -> Entry:
    """Return a library.lua entry."""
    return Entry(entry_id, "library.lua", data={"source": source, "modules": list(modules), **data})


def process(entry_id: str, source: str, modules: Iterable[str] = (), **data: Any) -> Entry:
    """Return a process.lua entry; `source` is the whole chunk."""
    return Entry(entry_id, "process.lua", data={"source": source, "method": "main", "modules": list(modules), **data})


def host(entry_id: str = "app:processes", **settings: Any) -> Entry:
    """Return a started process.host entry; `settings` are those of its `host` block."""
    return Entry(entry_id, "process.host", data={"host": settings, "lifecycle": {"auto_start": True}})


async def run_lua(
    source: str,
    *args: Any,
    modules: Iterable[str] = (),
    entries: Iterable[Entry] = (),
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Run the body of a function (its arguments are `...`) and return its value.

    Raises the Error that it returns as second value or raises.
    """
    main = function("test:main", f"return function(...) {source}\nend", modules)
    async with app_of(main, *entries, **options) as app:
        if context is None:
            return await app.call("test:main", *args)
        return await app.call("test:main", *args, context=dict(context))
