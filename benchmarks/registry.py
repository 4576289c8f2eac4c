"""`registry.find` over many entries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from benchmarks.runner import Row, Settings, Target, alternate
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry, split_id
from wippy.registry.registry import Registry

__all__ = ["rows"]

#: Entries of a full run, over as many namespaces as a large application has.
ENTRIES = 10_000
NAMESPACES = 100
GROUPS = 500

#: What is asked, and the same test on one entry, for the scan that it is compared with.
QUERIES: tuple[tuple[str, dict[str, Any], Callable[[Entry], bool]], ...] = (
    ("meta.group equals", {"meta.group": "g7"}, lambda e: e.meta["group"] == "g7"),
    (
        ".kind and meta.group",
        {".kind": "registry.*", "meta.group": "g7"},
        lambda e: e.kind.startswith("registry.") and e.meta["group"] == "g7",
    ),
    (".ns is one of many", {".ns": "app.n42"}, lambda e: split_id(e.id)[0] == "app.n42"),
    ("meta.label starts with", {"^meta.label": "label 99"}, lambda e: e.meta["label"].startswith("label 99")),
)


def _entry(number: int) -> Entry:
    meta = {"group": f"g{number % GROUPS}", "label": f"label {number}"}
    return Entry(f"app.n{number % NAMESPACES}:entry{number}", "registry.entry", meta=meta, data={})


async def rows(settings: Settings) -> AsyncIterator[Row]:
    """Yield the figures of queries, measured on the registry without kinds."""
    entries = settings.count(ENTRIES)
    finds, scans = settings.count(300), settings.count(100)
    registry = Registry(listener_of=lambda entry: None)
    await registry.apply([Operation(Op.CREATE, _entry(number)) for number in range(entries)])

    for what, query, test in QUERIES:

        async def find(query: dict[str, Any] = query) -> float:
            started = time.perf_counter()
            for _ in range(finds):
                registry.find(query)
            return (time.perf_counter() - started) / finds * 1000

        async def scan(test: Callable[[Entry], bool] = test) -> float:
            started = time.perf_counter()
            for _ in range(scans):
                [entry for entry in registry.state.values() if test(entry)]
            return (time.perf_counter() - started) / scans * 1000

        found = await alternate(settings.rounds, ours=find, scan=scan)
        name = f"find over {entries:,}: {what}"
        yield Row(name, found["ours"], "ms", "scan in Python", found["scan"], Target("ours", "<=", 1))
