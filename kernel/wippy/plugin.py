"""The door: how plugins are found, what they can hook into, and what is said when one is missing or broken.

Discovery reads the names of entry points only (3-4 ms over 200 distributions; importlib.metadata would cost 30-50 ms)
and imports just what an application uses. The groups:

    wippy.kinds      name = entry kind          object: a subclass of wippy.kind.Kind
    wippy.modules    name = Lua module          object: a wippy.module.Module
    wippy.globals    name = Lua global          object: a wippy.module.Module that every entry sees without listing it
    wippy.commands   name = command line word   object: a click command
    wippy.packages   name = "org/module"        object: a Python package that carries YAML and Lua
    wippy.hooks      name = any                 object: a module or object with hook implementations

An area may have groups of its own (`wippy.middleware`): every group that starts with "wippy." is found.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pluggy

from wippy.errors import INTERNAL, NOT_FOUND, Error

if TYPE_CHECKING:
    from wippy.app import App
    from wippy.registry.entry import Entry

__all__ = ["EntryPoint", "Failure", "HookSpecs", "Plugins", "distribution_for", "hookimpl", "hookspec", "scan"]

log = logging.getLogger("wippy")

hookspec = pluggy.HookspecMarker("wippy")
hookimpl = pluggy.HookimplMarker("wippy")

PREFIX = "wippy."


class HookSpecs:
    """Every hook, by life cycle. All are plain functions: they fill tables at boot and are not called after it.

    An implementation may take any subset of the arguments by name.
    """

    @hookspec
    def app_created(self, app: App) -> None:
        """Called once an App object exists, before anything is loaded.

        For plugins that provide services to others (app.provide) or observe the whole life of an app.
        """

    @hookspec
    def entries_loaded(self, app: App, entries: list[Entry]) -> list[Entry] | None:
        """Called with the entries from files, before they become the first registry version.

        Return a list to add to them; None adds nothing. An Error raised here stops the boot.
        """

    @hookspec
    def app_started(self, app: App) -> None:
        """Called when every auto-started service runs."""

    @hookspec
    def app_stopping(self, app: App) -> None:
        """Called when shutdown begins, before any service is stopped."""

    @hookspec
    def function_interceptors(self, app: App) -> list[Any] | None:
        """Return objects that wrap calls which enter the node from outside (HTTP, queues, the API), outermost first.

        Each has `async def around(call: FunctionCall, proceed) -> value`; see wippy.scheduler.calls.
        """

    @hookspec
    def log_sinks(self, app: App) -> list[logging.Handler] | None:
        """Return logging handlers that receive the application's records (extra field `wippy`: a dict)."""

    @hookspec
    def metric_sinks(self, app: App) -> list[Any] | None:
        """Return objects with `counter(name, value, labels)`, `gauge(name, value, labels)` and
        `histogram(name, value, labels)`."""


class EntryPoint(msgspec.Struct, frozen=True):
    """A name that a distribution offers in one of the groups."""

    group: str
    name: str
    target: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import the object; whatever goes wrong while importing is raised as it is."""
        module, _, attribute = self.target.partition(":")
        loaded: Any = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            loaded = getattr(loaded, part)
        return loaded


class Failure(msgspec.Struct, frozen=True):
    """A plugin that could not be used, and why."""

    point: EntryPoint
    cause: str

    def __str__(self) -> str:
        point = self.point
        return f'plugin {point.distribution} {point.version} failed to load {point.group} "{point.name}": {self.cause}'


def scan(paths: Iterable[str] | None = None) -> list[EntryPoint]:
    """Return the entry points of every installed distribution, in the order of sys.path.

    The first distribution of a name wins, as with imports. The answer equals importlib.metadata's for directories of
    `*.dist-info`; other forms of installation are asked through importlib.metadata.
    """
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for path in sys.path if paths is None else paths:
        try:
            names = os.listdir(path or ".")
        except NotADirectoryError:
            found.extend(_scan_unusual(path, seen))
            continue
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                stem = name[: -len(".dist-info")]
                distribution, _, version = stem.partition("-")
                key = distribution.lower().replace("_", "-")
                if key in seen:
                    continue
                seen.add(key)
                text = _read(os.path.join(path, name, "entry_points.txt"))
                if "[wippy." in text:
                    found.extend(_parse(text, key, version))
            elif name.endswith(".egg-info"):
                found.extend(_scan_unusual(path, seen))
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _parse(text: str, distribution: str, version: str) -> Iterable[EntryPoint]:
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            group = line[1:-1].strip()
        elif group.startswith(PREFIX) and "=" in line and not line.startswith(("#", ";")):
            name, _, target = line.partition("=")
            yield EntryPoint(group, name.strip(), target.strip(), distribution, version)


def _scan_unusual(path: str, seen: set[str]) -> list[EntryPoint]:
    """Ask importlib.metadata about a zip file or a directory with egg-info; slow, and rarely needed."""
    from importlib import metadata

    found = []
    for distribution in metadata.distributions(path=[path]):
        key = (distribution.name or "").lower().replace("_", "-")
        if key in seen:
            continue
        seen.add(key)
        for point in distribution.entry_points:
            if point.group.startswith(PREFIX):
                found.append(EntryPoint(point.group, point.name, point.value, key, distribution.version))
    return found


def distribution_for(group: str, name: str) -> str:
    """Return the distribution to install for a name: the catalogue's, or what a third party would call it."""
    listed = json.loads((resources.files("wippy") / "catalogue.json").read_text())
    known: str | None = listed.get(group, {}).get(name)
    if known is None and group == "wippy.modules":
        known = listed.get("wippy.globals", {}).get(name)
    prefix = "wippy-package-" if group == "wippy.packages" else "wippy-plugin-"
    return known or prefix + name.replace(".", "-").replace("_", "-").replace("/", "-")


class Plugins:
    """What is installed, what of it was loaded, and what failed. One per App."""

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self._points: dict[tuple[str, str], EntryPoint] = {}
        self._clashes: dict[tuple[str, str], list[EntryPoint]] = {}
        self._loaded: dict[tuple[str, str], Any] = {}
        self.failures: list[Failure] = []
        for point in scan() if points is None else points:
            key = (point.group, point.name)
            if key in self._points and self._points[key].distribution != point.distribution:
                self._clashes.setdefault(key, [self._points[key]]).append(point)
            else:
                self._points[key] = point
        self.hooks = pluggy.PluginManager("wippy")
        self.hooks.add_hookspecs(HookSpecs)

    def points(self, group: str) -> list[EntryPoint]:
        """Return the entry points of a group by name."""
        return sorted((p for (g, _), p in self._points.items() if g == group), key=lambda p: p.name)

    def names(self, group: str) -> list[str]:
        return [p.name for p in self.points(group)]

    def load(self, group: str, name: str, where: str = "") -> Any:
        """Return the object that provides a name, importing it the first time.

        `where` tells who needs it. Raises Error(NotFound) that says what to install, and Error(Internal) that names the
        plugin, its distribution and the cause when it fails to import or when two distributions provide the name.
        """
        key = (group, name)
        if key in self._loaded:
            return self._loaded[key]
        what = _WORDS.get(group, group.removeprefix(PREFIX))
        at = f" ({where})" if where else ""
        if key in self._clashes:
            both = " and ".join(p.distribution for p in self._clashes[key])
            raise Error(f'{what} "{name}"{at} is provided by {both}: uninstall one of them', INTERNAL)
        point = self._points.get(key)
        if point is None:
            raise Error(
                f'no plugin provides {what} "{name}"{at}: pip install {distribution_for(group, name)}', NOT_FOUND
            )
        try:
            loaded = point.load()
        except Exception as problem:
            failure = Failure(point, f"{type(problem).__name__}: {problem}")
            self.failures.append(failure)
            raise Error(f"{failure}{' needed by ' + where if where else ''}", INTERNAL) from problem
        self._loaded[key] = loaded
        return loaded

    def load_hooks(self) -> None:
        """Register every hook implementation. One that fails is reported and left out; it takes no other down."""
        for point in self.points("wippy.hooks"):
            try:
                self._register(point, point.load())
            except Exception as problem:
                failure = Failure(point, f"{type(problem).__name__}: {problem}")
                self.failures.append(failure)
                log.error("%s", failure)
        self.hooks.check_pending()

    def _register(self, point: EntryPoint, plugin: Any) -> None:
        for name in dir(plugin):
            implementation = getattr(plugin, name)
            if getattr(implementation, "wippy_impl", None) and asyncio.iscoroutinefunction(implementation):
                raise TypeError(f"hook implementation {name} is async; hooks are plain functions")
        self.hooks.register(plugin, name=f"{point.distribution}:{point.name}")


_WORDS = {
    "wippy.kinds": "kind",
    "wippy.modules": "module",
    "wippy.globals": "global",
    "wippy.commands": "command",
    "wippy.packages": "package",
    "wippy.hooks": "hook",
}


def package_path(loaded: Any) -> Path:
    """Return the directory of a package that carries YAML and Lua."""
    return Path(next(iter(loaded.__path__)))
