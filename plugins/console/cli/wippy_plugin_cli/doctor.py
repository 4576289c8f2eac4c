"""`wippy doctor`: what an application needs that is not here, and what in it has no effect. Nothing comes to life."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from wippy.errors import Error
from wippy.kind import Kind, decode_config, named_references
from wippy.plugin import Plugins
from wippy.registry.entry import Entry
from wippy.registry.environment import resolve
from wippy.scheduler import preempt
from wippy_plugin_cli.entrypoints import commands_of
from wippy_plugin_cli.launch import (
    Launch,
    application_flags,
    global_flags,
    lock_file_flag,
    override_flag,
    pass_launch,
)

__all__ = ["Diagnosis", "diagnose", "doctor"]

_INSTALL = re.compile(r"pip install ([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass
class Diagnosis:
    """What was found: `problems` keep the application from running, `warnings` do not."""

    entries: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def to_install(self) -> list[str]:
        """The distributions that the problems ask for."""
        return list(dict.fromkeys(name for problem in self.problems for name in _INSTALL.findall(problem)))


@click.command()
@click.argument("directory", required=False)
@lock_file_flag
@override_flag
@application_flags
@global_flags
@pass_launch
@click.pass_obj
def doctor(plugins: Plugins, launch: Launch, directory: str | None) -> None:
    """Say what an application lacks and which of its settings have no effect; ends with 1 if something is missing."""
    launch.choose(directory)
    found = diagnose(launch, plugins)
    click.echo(f"preemption: {preempt.REASON}")
    _print("no effect or doubtful:", [*found.warnings, *launch.without_effect()])
    _print("wrong or missing:", found.problems)
    if found.to_install:
        click.echo(f"\npip install {' '.join(found.to_install)}")
    if found.problems:
        sys.exit(1)
    click.echo(f"\n{found.entries} entries, nothing is missing")


def _print(title: str, lines: Iterable[str]) -> None:
    listed = list(lines)
    if listed:
        click.echo(f"\n{title}")
        for line in listed:
            click.echo(f"  {line}")


def diagnose(launch: Launch, plugins: Plugins) -> Diagnosis:
    """Look at configuration, files, kinds, modules and fields, as far as each lets the next be read."""
    diagnosis = Diagnosis()
    try:
        config = launch.config()
        diagnosis.warnings += [*config.warnings, *config.ignored]
        loaded = launch.load(plugins)
    except Error as problem:
        diagnosis.problems += problem.message.split("\n")
        return diagnosis
    diagnosis.entries = len(loaded.entries)
    diagnosis.warnings += loaded.warnings
    known = {entry.id for entry in loaded.entries}
    complaints: dict[str, None] = {}
    for entry in loaded.entries:
        complaints.update(dict.fromkeys(_complaints(entry, known, plugins, diagnosis.warnings)))
    try:
        commands_of(loaded.entries)
    except Error as problem:
        complaints.update(dict.fromkeys(problem.message.split("\n")))
    diagnosis.problems += complaints
    return diagnosis


def _complaints(entry: Entry, known: set[str], plugins: Plugins, warnings: list[str]) -> Iterable[str]:
    """Yield what is wrong with an entry; what is doubtful goes to `warnings`."""
    try:
        kind = plugins.load("wippy.kinds", entry.kind, entry.where("kind"))
    except Error as problem:
        yield problem.message
        return
    yield from _missing_modules(entry, plugins)
    yield from _bad_fields(entry, kind, known, warnings)


def _missing_modules(entry: Entry, plugins: Plugins) -> Iterable[str]:
    modules = entry.data.get("modules")
    for name in modules if isinstance(modules, list) else []:
        if isinstance(name, str) and name not in plugins.names("wippy.globals"):
            try:
                plugins.load("wippy.modules", name, entry.where("modules"))
            except Error as problem:
                yield problem.message


def _bad_fields(entry: Entry, kind: type[Kind], known: set[str], warnings: list[str]) -> Iterable[str]:  # type: ignore[type-arg]
    # Variables have no value here; an entry that reads one is judged when it runs.
    _, unknown = resolve(entry.data, lambda name: None, skip=entry.place.sources if entry.place else ())
    if unknown:
        return
    try:
        config = decode_config(entry, kind.config, kind.meta_fields, warnings.append, kind.open_data)
    except Error as problem:
        yield problem.message
        return
    for path, target in named_references(config):
        if target not in known:
            yield f'{entry.where(path.split(".")[0])}: field "{path}" refers to {target}, which does not exist'
