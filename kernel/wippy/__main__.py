"""The command line's door: `wippy WORD ...` runs the click command that a plugin offers as `wippy.commands`.

No command is built in, and only the one that was asked for is imported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

from wippy.errors import NOT_FOUND, Error
from wippy.plugin import Plugins

if TYPE_CHECKING:
    import click

__all__ = ["command_group", "main"]

GROUP = "wippy.commands"

#: Flags of every command that take a value (manual page guides/cli, "Global Flags").
_VALUED = ("--config", "--memory-limit", "-m")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; ends the program with its exit code.

    An Error that a command raises is printed as it is, one line for each problem, and ends with 1.
    """
    words = _flags_last(sys.argv[1:] if arguments is None else arguments)
    try:
        plugins = Plugins()
        command_group(plugins).main(words, prog_name="wippy", obj=plugins)
    except Error as problem:
        lines = problem.message.split("\n")
        print(
            "\n  ".join([f"error: {len(lines)} problems:", *lines] if lines[1:] else [f"error: {lines[0]}"]),
            file=sys.stderr,
        )
        sys.exit(1)


def command_group(plugins: Plugins) -> click.Group:
    """Return the group of all installed commands.

    Raises Error(NotFound) where there is no command, or no click to run one.
    """
    try:
        import click
    except ImportError:
        raise Error("the command line needs click: pip install wippy-plugin-cli", NOT_FOUND) from None
    names = plugins.names(GROUP)
    if not names:
        raise Error("no command line is installed: pip install wippy-plugin-cli", NOT_FOUND)

    class Commands(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return names

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            if cmd_name not in names and cmd_name not in _catalogued():
                return None
            command: click.Command = plugins.load(GROUP, cmd_name)
            return command

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            rows = []
            for name in names:
                try:
                    command = self.get_command(ctx, name)
                    rows.append((name, command.get_short_help_str(100) if command else ""))
                except Error as problem:
                    rows.append((name, f"not available: {problem.message}"))
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    return Commands("wippy", help="Run and inspect applications of Lua actors.", no_args_is_help=True)


def _catalogued() -> list[str]:
    """Return the commands that distributions known to the kernel provide, installed or not."""
    catalogue = json.loads((resources.files("wippy") / "catalogue.json").read_text())
    return list(catalogue.get(GROUP, {}))


def _flags_last(arguments: Sequence[str]) -> list[str]:
    """Move flags that stand before the command's name behind it, where the command understands them."""
    words = list(arguments)
    if words == ["--version"]:
        return ["version"]
    first = 0
    while first < len(words) and words[first].startswith("-") and words[first] != "--help":
        first += 2 if words[first] in _VALUED else 1
    return [*words[first : first + 1], *words[:first], *words[first + 1 :]]


if __name__ == "__main__":
    main()
