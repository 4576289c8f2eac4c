"""Applications made of a few entries, and the time that a process of theirs takes."""

from __future__ import annotations

import time
from typing import Any

from wippy.app import App
from wippy.registry.entry import Entry
from wippy.testing import process

__all__ = ["HOST", "actor", "run", "worker_host"]

HOST = "bench:processes"

#: Idle processes do not listen to the CANCEL event: a host need not wait for them.
STOP_TIMEOUT = "50ms"


def actor(name: str, source: str) -> Entry:
    """Return a process entry `bench:name`."""
    return process(f"bench:{name}", source)


def worker_host(workers: int = 1) -> Entry:
    """Return the host that processes of a benchmark run on: with one worker, all of them share a VM."""
    lifecycle = {"auto_start": True, "stop_timeout": STOP_TIMEOUT}
    return Entry(HOST, "process.host", data={"host": {"workers": workers}, "lifecycle": lifecycle})


async def run(app: App, name: str, *args: Any) -> float:
    """Run process `bench:name` to its end; returns seconds. Raises the Error that it ended with."""
    started = time.perf_counter()
    _, end = await app.node.spawn_watched(f"bench:{name}", HOST, *args)
    ended = await end
    if ended.error is not None:
        raise ended.error
    return time.perf_counter() - started
