"""The flags that commands share, and what they come to: a Launch.

Source: manual page guides/cli, "Global Flags" and the flags of `wippy run`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from wippy.config import Config
from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.plugin import Plugins
from wippy.registry.link import Loaded, load_application
from wippy.units import parse_size

__all__ = ["Launch", "application_flags", "global_flags", "lock_file_flag", "override_flag", "pass_launch"]

Function = TypeVar("Function", bound=Callable[..., Any])

_KEY = "wippy_plugin_cli.launch"


@dataclass
class Launch:
    """How a command was launched. `directory` is the application's."""

    config_files: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    verbose: bool = False
    very_verbose: bool = False
    console: bool = False
    silent: bool = False
    event_streams: bool = False
    profiler: bool = False
    memory_limit: str | None = None
    hub: str | None = None
    lock_file: str | None = None
    directory: Path = field(default_factory=Path)

    def config(self) -> Config:
        """Return the configuration of the application with all that the flags change.

        Raises Error as Config.load does, and Error(Invalid) for a memory limit that is no size.
        """
        settings = list(self.settings)
        if self.memory_limit is not None:
            settings.append(f"process.memory_limit={parse_size(self.memory_limit)}")
        if self.event_streams:
            settings.append("logmanager.stream_to_events=true")
        return Config.load(self.directory, files=self.config_files, profiles=self.profiles, settings=settings)

    def load(self, plugins: Plugins) -> Loaded:
        """Return the application's entries, without bringing anything to life.

        Raises Error with a line for everything that is wrong.
        """
        return load_application(self.directory, plugins=plugins, config=self.config(), overrides=self.overrides)

    def choose(self, directory: str | None) -> None:
        """Set the application's directory.

        Raises Error(NotFound) for one that does not exist, and for a pack or a package of the hub, which are no
        directories.
        """
        if directory is None:
            return
        if not Path(directory).is_dir():
            if directory.endswith(".wapp"):
                raise Error(f"{directory}: packs cannot be run here: run the directory it was made from", INVALID)
            raise Error(f"{directory}: there is no such directory", NOT_FOUND)
        self.directory = Path(directory)

    def without_effect(self) -> list[str]:
        """Return what to say about flags that mean nothing to this runtime."""
        notes = []
        if self.profiler:
            notes.append(
                "--profiler has no effect: there is no pprof server; use a profiler for Python, such as py-spy"
            )
        if self.hub is not None:
            notes.append("--registry has no effect: packages are installed with pip")
        return notes


pass_launch = click.decorators.pass_meta_key(_KEY)


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    # One Launch for nested groups too: flags may stand at any of them.
    launch = context.meta.setdefault(_KEY, Launch())
    assert parameter.name is not None
    if isinstance(value, tuple):
        getattr(launch, parameter.name).extend(value)
    elif value:
        setattr(launch, parameter.name, value)
    if parameter.name == "lock_file" and value:
        if Path(value).name != "wippy.lock":
            raise Error(f'--lock-file "{value}": the file must have the name wippy.lock', INVALID)
        launch.directory = Path(value).parent


def _flags(*flags: tuple[tuple[str, ...], dict[str, Any]]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for names, settings in reversed(flags):
            function = click.option(*names, expose_value=False, callback=_store, **settings)(function)
        return function

    return decorate


_MANY: dict[str, Any] = {"multiple": True}
_FLAG: dict[str, Any] = {"is_flag": True}

#: Flags of every command.
global_flags = _flags(
    (
        ("--config", "config_files"),
        {**_MANY, "metavar": "FILE", "help": "Instead of .wippy.yaml; later ones win."},
    ),
    (("-v", "--verbose", "verbose"), {**_FLAG, "help": "Log debug messages."}),
    (("--very-verbose", "very_verbose"), {**_FLAG, "help": "Log debug messages, and stacks of internal failures."}),
    (("-c", "--console", "console"), {**_FLAG, "help": "Log in colours."}),
    (("-s", "--silent", "silent"), {**_FLAG, "help": "Log nothing."}),
    (("-e", "--event-streams", "event_streams"), {**_FLAG, "help": "Send logs to the event bus too."}),
    (("-p", "--profiler", "profiler"), {**_FLAG, "help": "Without effect here."}),
    (
        ("-m", "--memory-limit", "memory_limit"),
        {"metavar": "SIZE", "help": "Memory of each worker's VM, as 512M or 1G."},
    ),
)

#: Flags of commands that read an application.
application_flags = _flags(
    (("--set", "settings"), {**_MANY, "metavar": "SECTION.KEY=VALUE", "help": "Set a configuration value."}),
    (("--profile", "profiles"), {**_MANY, "metavar": "NAME", "help": "Apply a profile of the configuration."}),
    (("--registry", "hub"), {"metavar": "URL", "help": "Without effect here: packages come from pip."}),
)

override_flag = _flags(
    (
        ("-o", "--override", "overrides"),
        {**_MANY, "metavar": "NS:ENTRY:FIELD=VALUE", "help": "Set a field of an entry."},
    )
)

lock_file_flag = _flags(
    (("-l", "--lock-file", "lock_file"), {"metavar": "FILE", "help": "The wippy.lock of the application."})
)
