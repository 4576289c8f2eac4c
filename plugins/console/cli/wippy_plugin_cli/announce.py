"""What `wippy run` prints when an application is up: where it can be reached, and what to try."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from wippy.app import App

__all__ = ["Described", "announcement"]


@runtime_checkable
class Described(Protocol):
    """A resource that people can reach from outside, such as an HTTP server."""

    def describe(self) -> str:
        """Return where, as `http://127.0.0.1:8085`; empty while it cannot be reached."""


def announcement(app: App) -> str:
    """Return a line for each resource that says where it is, and the `meta.try` lines of the application's entries."""
    lines = []
    described = app.resources.all(Described)  # type: ignore[type-abstract]
    for entry_id, resource in sorted(described.items()):
        place = resource.describe()
        if place:
            lines.append(place if entry_id in place else f"{place}  ({entry_id})")
    suggestions = list(_suggestions(app))
    if suggestions:
        lines += [*([""] if lines else []), "Try:", *(f"  {line}" for line in suggestions)]
    lines += ["", "Ctrl-C stops it."] if lines else [f"{len(app.registry)} entries run. Ctrl-C stops it."]
    return "\n".join(lines)


def _suggestions(app: App) -> Iterable[str]:
    for entry in app.registry.state.values():
        lines = entry.meta.get("try")
        if isinstance(lines, list):
            yield from (str(line) for line in lines)
