"""`wippy plugins`: what is installed, what it gives, and what of it does not load."""

from __future__ import annotations

import sys

import click

from wippy.errors import Error
from wippy.plugin import EntryPoint, Plugins, scan
from wippy.scheduler import preempt
from wippy_plugin_cli.launch import global_flags
from wippy_plugin_cli.tables import print_table

__all__ = ["plugins"]

_WORDS = {
    "wippy.kinds": "kinds",
    "wippy.modules": "modules",
    "wippy.globals": "globals",
    "wippy.commands": "commands",
    "wippy.packages": "packages",
    "wippy.hooks": "hooks",
}


@click.command()
@global_flags
@click.pass_obj
def plugins(installed: Plugins) -> None:
    """List what is installed; ends with 1 when something of it does not load."""
    points = scan()
    rows = []
    for distribution in sorted({point.distribution for point in points}):
        own = [point for point in points if point.distribution == distribution]
        for first, (what, names) in enumerate(_given(own).items()):
            rows.append(("" if first else distribution, "" if first else own[0].version, what, ", ".join(names)))
    print_table(("DISTRIBUTION", "VERSION", "GIVES", ""), rows)
    click.echo(f"\npreemption: {preempt.REASON}")
    problems = _problems(installed, points)
    if problems:
        click.echo("\nfailed to load:", err=True)
        for problem in problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(1)


def _given(points: list[EntryPoint]) -> dict[str, list[str]]:
    """Return names by what they are."""
    given: dict[str, list[str]] = {}
    for group in [*_WORDS, *sorted({point.group for point in points} - set(_WORDS))]:
        names = [point.name for point in points if point.group == group]
        if names:
            given[_WORDS.get(group, group.removeprefix("wippy."))] = names
    return given


def _problems(installed: Plugins, points: list[EntryPoint]) -> list[str]:
    problems = []
    for point in points:
        try:
            installed.load(point.group, point.name)
        except Error as problem:
            problems.append(problem.message)
    return problems
