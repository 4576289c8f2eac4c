"""Load on an HTTP server from a process of its own: wrk where it is installed, else children/load.py."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass

from benchmarks.child import Failed, measure

__all__ = ["CLIENT", "Report", "press"]

#: The client that `press` uses.
CLIENT = "wrk" if shutil.which("wrk") else "children/load.py"

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Report:
    """Requests a second, the 99th percentile of the response time in ms."""

    rate: float
    p99: float


async def press(port: int, path: str, connections: int, seconds: float) -> Report:
    """Keep `connections` requests under way for some time (wrk: whole seconds). Raises Failed if one is not answered
    with success."""
    if CLIENT == "wrk":
        return await _wrk(port, path, connections, seconds)
    figures = await measure("load", str(port), path, str(connections), str(seconds))
    if figures["errors"]:
        raise Failed(f"{path}: {figures['errors']:.0f} requests failed")
    return Report(figures["rate"], figures["p99"])


async def _wrk(port: int, path: str, connections: int, seconds: float) -> Report:
    duration = f"-d{max(1, round(seconds))}s"
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{connections}", duration, "--latency", f"http://127.0.0.1:{port}{path}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    text = out.decode()
    rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text)
    trouble = re.search(r"(Non-2xx.*|Socket errors.*)", text)
    if process.returncode or trouble or not rate or not p99:
        raise Failed(f"wrk on {path}: {trouble[1] if trouble else err.decode() or text}")
    return Report(float(rate[1]), float(p99[1]) * _UNITS[p99[2]])
