"""`python -m benchmarks [NAME…] [--quick]`: measure and print the tables."""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import importlib
import logging
import pstats
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

from benchmarks.environment import Others, describe
from benchmarks.runner import Line, Missing, Row, Settings, Skipped, table

#: The areas, each a module with `async def rows(settings)`, in the order of the design's table.
AREAS = ("messages", "spawn", "functions", "cpu", "http", "cold_start", "sql", "queue", "registry")

#: What --quick does to the counts: every figure is there, the spread is wide.
QUICK = Settings(rounds=3, load=0.1)

#: Functions that --profile shows.
PROFILE_LINES = 30


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure the runtime; see benchmarks/README.md."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"areas to measure: {', '.join(AREAS)} (all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, three rounds")
    parser.add_argument("--rounds", type=int, help="rounds of every pair (5; quick: 3)")
    parser.add_argument("--load", type=float, help="factor on every count (1; quick: 0.1)")
    parser.add_argument("--profile", metavar="NAME", choices=AREAS, help="measure one area and print where time goes")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in AREAS]:
        parser.error(f"no such area: {', '.join(unknown)}; there are {', '.join(AREAS)}")
    if (chosen.rounds is not None and chosen.rounds < 1) or (chosen.load is not None and chosen.load <= 0):
        parser.error("--rounds and --load must be positive")
    return chosen


async def measure(area: str, settings: Settings) -> tuple[list[Line], bool]:
    """Return an area's rows, and whether it ran without a failure."""
    lines: list[Line] = []
    try:
        async for line in importlib.import_module(f"benchmarks.{area}").rows(settings):
            lines.append(line)
    except Missing as reason:
        lines.append(Skipped(area, str(reason)))
    except Exception:
        traceback.print_exc()
        lines.append(Skipped(area, "FAILED, see above"))
        return lines, False
    return lines, True


def show_profile(profile: cProfile.Profile, directory: Path) -> None:
    print("\nwhere Python's time goes, this process (time in Lua counts for the call into it):")
    pstats.Stats(profile).sort_stats("tottime").print_stats(PROFILE_LINES)
    for path in sorted(directory.iterdir()):
        print(f"child process {path.stem}:")
        pstats.Stats(str(path)).sort_stats("tottime").print_stats(PROFILE_LINES)


def main() -> int:
    chosen = arguments()
    settings = QUICK if chosen.quick else Settings()
    settings = replace(settings, rounds=chosen.rounds or settings.rounds, load=chosen.load or settings.load)
    areas = [chosen.profile] if chosen.profile else [name for name in AREAS if name in (chosen.names or AREAS)]
    print("\n".join(describe()))
    print(
        f"{settings.rounds} rounds, load {settings.load:g}; figures are median (min–max), ratios are of the same round"
    )
    # Hosts that stop say how many processes they left behind: that is on purpose here.
    logging.getLogger("wippy").setLevel(logging.CRITICAL)
    good, verdicts = True, []
    with tempfile.TemporaryDirectory() as directory:
        profile = cProfile.Profile() if chosen.profile else None
        if profile:
            settings = replace(settings, profiles=Path(directory))
            print("WARNING: under the profiler all figures are too high")
        for area in areas:
            started, others = time.perf_counter(), Others()
            if profile:
                profile.enable()
            lines, fine = asyncio.run(measure(area, settings))
            if profile:
                profile.disable()
            good = good and fine
            verdicts += [line.verdict for line in lines if isinstance(line, Row) and line.target]
            taken = f"{time.perf_counter() - started:.0f} s"
            remarks = ", ".join(filter(None, (taken, others.text())))
            print(f"\n{area} ({remarks})\n{table(lines)}", flush=True)
        if profile:
            show_profile(profile, Path(directory))
    summary = ", ".join(f"{verdicts.count(word)} {word}" for word in ("reached", "close", "missed"))
    print(f"\n{summary}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
