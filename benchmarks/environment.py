"""What the machine and the installation do to the figures, said beside them."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from benchmarks.runner import Missing

__all__ = ["Others", "describe", "installed", "need_kind", "uncached"]

#: A load average above this share of the processors makes every figure doubtful.
BUSY = 0.5

#: Other programs that took more processors than this while an area ran make its figures doubtful.
DISTURBED = 0.1


def installed(module: str) -> bool:
    """Return whether a module can be imported; does not import it."""
    return importlib.util.find_spec(module) is not None


def need_kind(*kinds: str) -> None:
    """Raise Missing unless plugins for these entry kinds are installed."""
    from wippy.plugin import distribution_for, scan

    there = {point.name for point in scan() if point.group == "wippy.kinds"}
    for kind in kinds:
        if kind not in there:
            raise Missing(f"no plugin provides kind {kind} (pip install {distribution_for('wippy.kinds', kind)})")


class Others:
    """How much processor time other programs took since this object was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._busy, self._own = _busy_seconds(), _own_seconds()

    def text(self) -> str:
        """Return a remark about it; call it when the children have been waited for. Empty where /proc cannot tell."""
        if self._busy is None:
            return ""
        spent = (_busy_seconds() or 0) - self._busy - (_own_seconds() - self._own)
        share = max(0.0, spent / (time.monotonic() - self._started))
        mark = "WARNING: " if share > DISTURBED else ""
        return f"{mark}other programs used {share:.2f} CPUs meanwhile"


def _busy_seconds() -> float | None:
    """Return the seconds that all processors were busy since boot."""
    try:
        user, nice, system, _idle, _wait, *interrupts = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        )
    except (OSError, ValueError):
        return None
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def describe() -> list[str]:
    """Return lines about the interpreter, the machine, byte code and editable installs."""
    from wippy.scheduler import preempt

    cpus, busy = os.cpu_count() or 1, os.getloadavg()[0]
    lines = [
        f"Python {sys.version.split()[0]}, lupa {metadata.version('lupa')}, {cpus} CPUs, load average {busy:.2f} at start",
        f"preemption: {preempt.REASON}",
        f"event loop of servers and clients: {'uvloop' if installed('uvloop') else 'asyncio (uvloop is not installed)'}",
    ]
    if busy > BUSY * cpus:
        lines.append(
            "WARNING: the machine is busy; absolutes are too high, and ratios of what uses several CPUs unfair"
        )
    return lines + _bytecode() + _editable()


def uncached() -> tuple[int, int]:
    """Return how many of this project's installed Python files have no .pyc, and how many there are."""
    from wippy.plugin import scan

    packages = {"wippy", *(point.target.split(":")[0].split(".")[0] for point in scan())}
    specs = filter(None, map(importlib.util.find_spec, sorted(packages)))
    places = [Path(place) for spec in specs for place in spec.submodule_search_locations or ()]
    sources = [path for place in places for path in place.rglob("*.py")]
    missing = [path for path in sources if not Path(importlib.util.cache_from_source(str(path))).exists()]
    return len(missing), len(sources)


def _bytecode() -> list[str]:
    missing, count = uncached()
    lines = []
    if sys.dont_write_bytecode:
        lines.append("byte code: PYTHONDONTWRITEBYTECODE is set: every start compiles what has no .pyc")
    if missing:
        lines.append(
            f"byte code: {missing} of {count} installed files of wippy have no .pyc; influences cold_start only, which "
            "measures with .pyc files in a directory of its own and, beside that, as installed"
        )
    return lines


def _editable() -> list[str]:
    names = sorted(_editable_distributions())
    if not names:
        return ["installation: wippy is installed from wheels"]
    return [
        f"installation: {len(names)} of wippy's distributions are editable; influences cold_start only: uv's "
        "compile-bytecode does not reach them, and each costs a .pth file or an import finder"
    ]


def _editable_distributions() -> Iterable[str]:
    for distribution in metadata.distributions():
        name = distribution.name or ""
        if name.startswith("wippy"):
            text = distribution.read_text("direct_url.json")
            if text and json.loads(text).get("dir_info", {}).get("editable"):
                yield name
