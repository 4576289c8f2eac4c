"""Changing and leaving out entries at launch: the `override:` and `disable:` sections, and `-o` on the command line.

Sources: manual pages `guides/entry-kinds` ("Overriding Entries"), `guides/cli` (`-o`), `guides/configuration`
("Profiles").
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry
from wippy.registry.fields import parse_path, with_field
from wippy.registry.glob import matcher
from wippy.units import parse_scalar

__all__ = ["Override", "apply_overrides", "disabled", "overrides_from_options", "overrides_from_section"]


class Override(msgspec.Struct, frozen=True):
    """One field of one entry to set: `key` is `namespace:entry:path` as written, `origin` is who says so."""

    key: str
    value: Any
    origin: str
    #: Whether an entry that does not exist is a mistake: on the command line it is, in a shared file it need not be.
    must_exist: bool = False

    @property
    def entry_id(self) -> str:
        """The id that the key names if the name holds no colon."""
        return ":".join(self.key.split(":")[:2])


def overrides_from_section(section: Mapping[str, Any], origin: str = "override") -> list[Override]:
    """Return the overrides of an `override:` section; values keep their YAML types."""
    return [Override(key, value, f'{origin} "{key}"') for key, value in section.items()]


def overrides_from_options(options: Iterable[str]) -> list[Override]:
    """Return the overrides of `-o namespace:entry:field=value` options; values are coerced by shape.

    Raises Error(Invalid) for an option without `=`.
    """
    overrides = []
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise Error(f'-o "{option}": expected namespace:entry:field=value', INVALID)
        overrides.append(Override(key.strip(), parse_scalar(value), f'-o "{option}"', True))
    return overrides


def apply_overrides(
    entries: Iterable[Entry], overrides: Iterable[Override]
) -> tuple[list[Entry], list[str], list[str]]:
    """Return the entries with the overrides applied in order, the warnings, and the problems."""
    by_id = {entry.id: entry for entry in entries}
    warnings: list[str] = []
    problems: list[str] = []
    for override in overrides:
        try:
            entry, path = _target(override, by_id)
            if entry is None:
                message = f"{override.origin}: there is no such entry{_close(override, by_id)}"
                (problems if override.must_exist else warnings).append(message)
                continue
            segments, append = parse_path(path)
            if append:
                raise Error("an override sets a field, += belongs to the targets of a requirement", INVALID)
            by_id[entry.id] = with_field(entry, segments, override.value)
        except Error as problem:
            problems.append(f"{override.origin}: {problem.message}")
    return list(by_id.values()), warnings, problems


def _target(override: Override, by_id: Mapping[str, Entry]) -> tuple[Entry | None, str]:
    """Return the entry that a key names, and the path. A name may hold colons: the shortest id that exists wins."""
    parts = override.key.split(":")
    if len(parts) < 3 or not all(parts):
        raise Error("expected namespace:entry:field", INVALID)
    for length in range(2, len(parts)):
        entry = by_id.get(":".join(parts[:length]))
        if entry is not None:
            return entry, ":".join(parts[length:])
    return None, ""


def _close(override: Override, by_id: Mapping[str, Entry]) -> str:
    close = difflib.get_close_matches(override.entry_id, by_id, 1)
    return f', did you mean "{close[0]}"?' if close else ""


def disabled(section: Mapping[str, Any]) -> Callable[[str], bool]:
    """Return a test for the ids of entries that a `disable:` section leaves out.

    `namespaces` and `entries` are lists of globs, the latter over whole ids; in a namespace `*` stays within one
    segment and `**` takes any number, in the name behind the colon both match anything. Raises Error(Invalid).
    """
    namespaces = matcher(_patterns(section, "namespaces"), ".")
    by_namespace: list[tuple[Callable[[str], bool], re.Pattern[str]]] = []
    for pattern in _patterns(section, "entries"):
        namespace, colon, name = pattern.partition(":")
        if not colon:
            raise Error(f'disable.entries: "{pattern}" is not an id: expected namespace:name', INVALID)
        text = "".join(
            ".*" if part.startswith("*") else "." if part == "?" else re.escape(part)
            for part in re.split(r"(\*+|\?)", name)
        )
        by_namespace.append((matcher([namespace], "."), re.compile(text, re.DOTALL)))

    def test(entry_id: str) -> bool:
        namespace, _, name = entry_id.partition(":")
        return namespaces(namespace) or any(ns(namespace) and n.fullmatch(name) for ns, n in by_namespace)

    return test


def _patterns(section: Mapping[str, Any], key: str) -> list[str]:
    patterns = section.get(key)
    if patterns is None:
        return []
    if isinstance(patterns, str):
        patterns = [patterns]
    if not isinstance(patterns, list) or not all(isinstance(p, str) and p for p in patterns):
        raise Error(f"disable.{key} must be a list of patterns, got {patterns!r}", INVALID)
    return patterns
