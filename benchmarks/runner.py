"""The runner: pairs measured alternately, the spread of what came out, targets, and the table."""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Line", "Missing", "Row", "Sample", "Settings", "Skipped", "Target", "alternate", "table"]

#: One side of a comparison: runs its load once and returns the figure.
Side = Callable[[], Awaitable[float]]


class Missing(Exception):
    """What a benchmark needs is not installed; the text says what."""


@dataclass(frozen=True)
class Settings:
    """How much to run. `load` scales every count; `profiles` is where child processes leave their profiles, if anywhere."""

    rounds: int = 5
    load: float = 1.0
    profiles: Path | None = None

    def count(self, full: int) -> int:
        """Return how often to do what is done `full` times in a full run."""
        return max(1, round(full * self.load))


@dataclass(frozen=True)
class Sample:
    """The figures of one side, a value a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def map(self, change: Callable[[float], float]) -> Sample:
        return Sample(tuple(map(change, self.values)))

    def over(self, other: Sample) -> Sample:
        """Return the ratio of each round: both sides of a round met the same machine."""
        return Sample(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def text(self, unit: str = "") -> str:
        """Return `median unit (min–max)`."""
        space = " " if unit and unit != "×" else ""
        spread = f" ({_number(min(self.values))}–{_number(max(self.values))})" if len(self.values) > 1 else ""
        return f"{_number(self.median)}{space}{unit}{spread}"


@dataclass(frozen=True)
class Target:
    """What a figure has to reach: the ratio, or our own absolute."""

    of: Literal["ratio", "ours"]
    op: Literal["<=", ">="]
    value: float

    def met(self, figure: float) -> bool:
        return figure <= self.value if self.op == "<=" else figure >= self.value

    def verdict(self, sample: Sample) -> str:
        """Return whether the median reaches the target; `close` when it does not, but some rounds do."""
        if self.met(sample.median):
            return "reached"
        return "close" if any(map(self.met, sample.values)) else "missed"

    def text(self, unit: str) -> str:
        what, unit = ("ratio ", "×") if self.of == "ratio" else ("", unit)
        space = " " if unit and unit != "×" else ""
        return f"{what}{'≤' if self.op == '<=' else '≥'} {_number(self.value)}{space}{unit}"


@dataclass(frozen=True)
class Row:
    """One figure: ours, what it is compared with, and what it has to reach. Both sides have the same unit."""

    what: str
    ours: Sample
    unit: str
    against: str
    baseline: Sample
    target: Target | None = None

    @property
    def ratio(self) -> Sample:
        return self.ours.over(self.baseline)

    @property
    def verdict(self) -> str:
        if self.target is None:
            return "–"
        return self.target.verdict(self.ratio if self.target.of == "ratio" else self.ours)

    def cells(self) -> tuple[str, ...]:
        return (
            self.what,
            self.ratio.text("×"),
            self.ours.text(self.unit),
            f"{self.against}: {self.baseline.text(self.unit)}",
            self.target.text(self.unit) if self.target else "–",
            self.verdict,
        )


@dataclass(frozen=True)
class Skipped:
    """A figure that was not measured, and why."""

    what: str
    why: str


#: What a benchmark yields.
Line = Row | Skipped
Benchmark = Callable[[Settings], AsyncIterator[Line]]

HEAD = ("what", "ratio", "ours", "against", "target", "verdict")


async def alternate(rounds: int, **sides: Side) -> dict[str, Sample]:
    """Run the sides in turn, `rounds` times, every other round in reverse order; returns each side's figures."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        names = list(sides) if turn % 2 == 0 else list(reversed(sides))
        for name in names:
            figures[name].append(await sides[name]())
    return {name: Sample(tuple(values)) for name, values in figures.items()}


def table(lines: Iterable[Line]) -> str:
    """Return the rows as an aligned table, and what was skipped below it."""
    layout = _Layout()
    for line in lines:
        layout.add(line)
    return layout.text()


@dataclass
class _Layout:
    rows: list[tuple[str, ...]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, line: Line) -> None:
        if isinstance(line, Skipped):
            self.skipped.append(line)
        else:
            self.rows.append(line.cells())

    def text(self) -> str:
        out = []
        if self.rows:
            cells = [HEAD, *self.rows]
            widths = [max(len(row[i]) for row in cells) for i in range(len(HEAD))]
            cells.insert(1, tuple("-" * width for width in widths))
            out = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join(out + [f"skipped: {line.what}: {line.why}" for line in self.skipped])


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
