"""Named commands: processes with `meta.command`, and which of them is meant.

Source: manual page guides/cli, "Custom Commands"; `main` and `use_case` as in its table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import msgspec

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.registry.entry import Entry, qualify

__all__ = ["Command", "commands_of", "default_command", "find_command", "listing", "test_command"]

RUN = "run"
TEST = "test"

#: What the word after `wippy run` can never name.
LIST = "list"


class _Actor(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    meta: dict[str, Any] = {}


class Security(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Whom a command runs as. What is left out is inherited, which on the command line means none."""

    actor: _Actor | None = None
    policies: list[str] = []
    groups: list[str] = []


class _CommandMeta(msgspec.Struct):
    name: str = ""
    short: str = ""
    main: bool = False
    use_case: str = RUN
    security: Security | None = None


class Command(msgspec.Struct, frozen=True):
    """A process that can be started by name."""

    entry: str
    name: str
    short: str = ""
    main: bool = False
    use_case: str = RUN
    #: As a process's `security` block: {actor: {id, meta}, policies, groups}.
    security: dict[str, Any] | None = None


def commands_of(entries: Iterable[Entry]) -> list[Command]:
    """Return the commands of an application by id of their entries.

    Raises Error(Invalid) with a line for every `meta.command` that is not as documented; a doubtful `security` is
    never ignored.
    """
    commands = []
    problems = []
    for entry in sorted(entries, key=lambda e: e.id):
        if not entry.kind.startswith("process.") or entry.meta.get("command") is None:
            continue
        try:
            commands.append(_command(entry))
        except (msgspec.ValidationError, ValueError) as problem:
            problems.append(f"{entry.where('meta')}: meta.command: {problem}")
    if problems:
        raise Error("\n".join(problems), INVALID, details={"problems": problems})
    return commands


def _command(entry: Entry) -> Command:
    meta = msgspec.convert(entry.meta["command"], _CommandMeta)
    security = None
    if meta.security is not None:
        if not meta.name:
            raise ValueError("security needs a name, or nothing could ever run under it")
        if not (meta.security.actor or meta.security.policies or meta.security.groups):
            raise ValueError("security is empty: give it an actor, policies or groups, or leave it out")
        for field in (meta.security.policies, meta.security.groups):
            field[:] = [qualify(reference, entry.namespace) for reference in field]
        security = msgspec.to_builtins(meta.security)
    elif "security" in entry.meta["command"]:
        raise ValueError("security is empty: give it an actor, policies or groups, or leave it out")
    return Command(entry.id, meta.name, meta.short, meta.main, meta.use_case, security)


def find_command(commands: Iterable[Command], name: str) -> Command:
    """Return the first command of a name, by id.

    Raises Error(NotFound).
    """
    named = [command for command in commands if command.name]
    found = next((command for command in named if command.name == name), None)
    if found is None:
        close = difflib.get_close_matches(name, [command.name for command in named], 1)
        hint = f', did you mean "{close[0]}"?' if close else ": `wippy run list` shows those there are"
        raise Error(f'there is no command "{name}"{hint}', NOT_FOUND)
    return found


def default_command(commands: Iterable[Command]) -> Command | None:
    """Return what `wippy run` alone starts instead of the application's services: the command marked `main`, if any.

    Raises Error(Invalid) when several are marked.
    """
    return _single(
        [c for c in commands if c.main and c.use_case == RUN], "are marked main; mark one, or name the one to run"
    )


def test_command(commands: Iterable[Command]) -> Command:
    """Return what `wippy test` runs: the command whose use case is `test`, else the one with the name `test`.

    Raises Error(NotFound) when there is neither, Error(Invalid) when several claim the use case and no single one is
    marked main.
    """
    listed = list(commands)
    tests = [c for c in listed if c.use_case == TEST]
    found = _single([c for c in tests if c.main] or tests, "have the use case test; mark one of them main")
    found = found or next((c for c in listed if c.name == TEST), None)
    if found is None:
        raise Error(
            "nothing to test: no process has meta.command with `use_case: test`, and none has the name test", NOT_FOUND
        )
    return found


def _single(candidates: list[Command], complaint: str) -> Command | None:
    if len(candidates) > 1:
        raise Error(f"{', '.join(c.entry for c in candidates)} {complaint}", INVALID)
    return candidates[0] if candidates else None


def listing(commands: Iterable[Command]) -> str:
    """Return the text of `wippy run list`."""
    named = sorted((c for c in commands if c.name and c.use_case == RUN), key=lambda c: c.name)
    if not named:
        return "No commands: a process becomes one with meta.command.name."
    names = max(len(c.name) for c in named)
    shorts = max(len(c.short) for c in named)
    lines = (f"  {c.name:<{names}}  {c.short:<{shorts}}  ({c.entry})" for c in named)
    return "\n".join(["Available commands:", "", *lines, "", "Run with: wippy run <command>"])
