"""An application as a whole: its own entries, those of the packages it asks for, and what launch options change.

Sources: manual pages `guides/dependency-management` (packages, load order, replacements) and `guides/components`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from wippy.config import Config
from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.plugin import Plugins, package_path
from wippy.registry.document import Document
from wippy.registry.entry import Entry
from wippy.registry.glob import matcher
from wippy.registry.lock import Lock, read_lock
from wippy.registry.overrides import (
    Override,
    apply_overrides,
    disabled,
    overrides_from_options,
    overrides_from_section,
)
from wippy.registry.requirements import DEPENDENCY, REQUIREMENT, Dependency, read_dependency, satisfy_requirements
from wippy.registry.source import duplicates, read_source
from wippy.registry.versions import satisfies

__all__ = ["Loaded", "load_application"]


class Loaded(msgspec.Struct, frozen=True):
    """An application as read: entries ready for the registry, what is doubtful, and every directory that was read."""

    entries: list[Entry]
    warnings: list[str]
    directories: list[Path]


def load_application(directory: Path, *, plugins: Plugins, config: Config, overrides: Sequence[str] = ()) -> Loaded:
    """Read the application in `directory` with the packages it depends on, and link them.

    `overrides` are `-o` options; the `override` and `disable` sections come from `config`. Sources are the directories
    of wippy.lock, or `src`, or the directory itself. Raises one Error whose message has a line for every problem: first
    all of reading (files, packages), then all of linking (requirements, overrides), because broken files would make
    linking complain about their consequences. Its `details.problems` is the same as a list.
    """
    changes = [*overrides_from_section(config.section("override")), *overrides_from_options(overrides)]
    loader = _Loader(directory, plugins, config, changes)
    loader.read()
    _raise(loader.problems)
    entries, warnings, problems = satisfy_requirements(loader.entries, loader.owners, loader.left_out)
    entries, late_warnings, late_problems = apply_overrides(entries, loader.late)
    _raise([*problems, *late_problems])
    return Loaded(entries, [*loader.warnings, *warnings, *late_warnings], loader.directories)


def _raise(problems: list[str]) -> None:
    if problems:
        raise Error("\n".join(problems), INVALID, details={"problems": problems})


class Package(msgspec.Struct, frozen=True):
    """A package that was found: where its definition files lie, how they are shown, and its version ("" unknown)."""

    name: str
    source: Path
    shown: str
    version: str = ""
    exclude: list[str] = []


class _Loader:
    """Reads the application, then every package that an entry asks for, then what those ask for."""

    def __init__(self, directory: Path, plugins: Plugins, config: Config, overrides: list[Override]) -> None:
        self.entries: list[Entry] = []
        self.owners: dict[str, str] = {}
        self.directories: list[Path] = []
        self.warnings: list[str] = []
        self.problems: list[str] = []
        self._directory = Path(os.path.abspath(directory))
        self._plugins = plugins
        self._config = config
        self._written: list[Entry] = []  # as the files say, before overrides
        self.left_out: Callable[[str], bool] = disabled(config.section("disable"))
        #: The overrides that wait until all is linked, so that they have the last word.
        self.late = overrides

    def read(self) -> None:
        """Raises Error for what leaves nothing to read; other problems are collected."""
        if not self._directory.is_dir():
            raise Error(f"{self._directory}: there is no such directory", NOT_FOUND)
        lock = read_lock(self._directory / "wippy.lock")
        self.warnings += lock.warnings if lock else []
        modules = lock.modules_directory if lock else self._directory / ".wippy"
        for source in self._sources(lock):
            self._read("", source, _shown(source, self._directory), [modules], [])
        finder = _Finder(self._directory, self._plugins, self._config, lock, modules)
        self._read_packages(finder)
        self.warnings += finder.warnings
        self.problems += duplicates(self._written)

    def _sources(self, lock: Lock | None) -> Iterable[Path]:
        if lock is None:
            source = self._directory / "src"
            return [source if source.is_dir() else self._directory]
        for source in lock.sources:
            if not source.is_dir():
                shown = _shown(source, self._directory)
                raise Error(f"{lock.file}: the source directory {shown} does not exist", NOT_FOUND)
        return lock.sources

    def _read(self, owner: str, source: Path, shown: str, excluded: list[Path], exclude: list[str]) -> None:
        read = read_source(source, shown, excluded, matcher(exclude, "/") if exclude else None)
        entries = [entry for entry in read.entries if not self.left_out(entry.id)]
        self.directories.append(source)
        self._written += entries
        entries = self._steered(entries)
        self.entries += entries
        self.owners.update((entry.id, owner) for entry in entries)
        self.warnings += read.warnings
        # Duplicates are looked for once, over everything, when all is read.
        found = set(duplicates(read.entries))
        self.problems += [problem for problem in read.problems if problem not in found]

    def _steered(self, entries: list[Entry]) -> list[Entry]:
        """Apply at once the overrides of entries that steer what is read and how it is linked."""
        steering = {entry.id for entry in entries if entry.kind in (DEPENDENCY, REQUIREMENT)}
        early = [override for override in self.late if override.entry_id in steering]
        if not early:
            return entries
        self.late = [override for override in self.late if override not in early]
        changed, warnings, problems = apply_overrides(entries, early)
        self.warnings += warnings
        self.problems += problems
        return changed

    def _read_packages(self, finder: _Finder) -> None:
        """Read packages breadth first until no new one is asked for."""
        asked: dict[str, list[tuple[Entry, str]]] = {}
        found: dict[str, Package] = {}
        position = 0
        while position < len(self.entries):
            entry = self.entries[position]
            position += 1
            if entry.kind != DEPENDENCY:
                continue
            try:
                dependency = read_dependency(entry)
                first = dependency.component not in asked
                asked.setdefault(dependency.component, []).append((entry, dependency.version))
                if first:
                    package = finder.find(dependency, entry)
                    found[package.name] = package
                    self._read(package.name, package.source, package.shown, [], package.exclude)
            except Error as problem:
                self.problems.append(problem.message)
        for name, package in found.items():
            self._check_version(package, asked[name])

    def _check_version(self, package: Package, asked: list[tuple[Entry, str]]) -> None:
        """Every range that anybody declares must hold, not just the nearest."""
        for entry, wanted in asked:
            try:
                fits = not package.version or satisfies(package.version, wanted)
            except Error as problem:
                self.problems.append(f"{entry.where('version')}: {package.name}: {problem.message}")
                continue
            if not fits:
                others = ", ".join(f"{e.id} wants {w}" for e, w in asked if e is not entry)
                self.problems.append(
                    f"{entry.where('version')}: wants {package.name} {wanted}, but {package.version} is installed"
                    + (f" ({others})" if others else "")
                )


class _Finder:
    """Finds packages: replacements first, then what is installed, then what lies in the modules directory."""

    def __init__(self, directory: Path, plugins: Plugins, config: Config, lock: Lock | None, modules: Path) -> None:
        self.warnings: list[str] = []
        self._directory = directory
        self._plugins = plugins
        self._lock = lock
        self._vendor = modules / "vendor"
        self._replacements: dict[str, Path] = dict(lock.replacements) if lock else {}
        for name, path in (config.section("workspace").get("replacements") or {}).items():
            if path is None:
                self._replacements.pop(name, None)
            elif not isinstance(path, str):
                raise Error(f"workspace.replacements: {name}: expected a directory, got {path!r}", INVALID)
            else:
                self._replacements[name] = Path(os.path.normpath(config.directory / Path(path).expanduser()))

    def find(self, dependency: Dependency, entry: Entry) -> Package:
        """Return the package.

        Raises Error(NotFound) that says what to install, and Error(Internal) for a package that fails to import.
        """
        name = dependency.component
        if name in self._replacements:
            path = self._replacements[name]
            shown = _shown(path, self._directory)
            if not path.is_dir():
                raise Error(f"{entry.where('component')}: {shown}, which replaces {name}, does not exist", NOT_FOUND)
            return self._unpacked(name, path, shown, "")
        point = next((p for p in self._plugins.points("wippy.packages") if p.name == name), None)
        if point is not None:
            path = package_path(self._plugins.load("wippy.packages", name, entry.where("component")))
            return self._unpacked(name, path, name, point.version)
        locked = self._lock.modules.get(name) if self._lock else None
        for path in self._vendored(name, locked.version if locked else ""):
            if path.is_dir():
                return self._unpacked(name, path, _shown(path, self._directory), locked.version if locked else "")
        raise self._missing(name, entry)

    def _vendored(self, name: str, version: str) -> Iterable[Path]:
        yield self._vendor / name
        if version:
            yield self._vendor / f"{name}-{version}"

    def _missing(self, name: str, entry: Entry) -> Error:
        try:
            self._plugins.load("wippy.packages", name, entry.where("component"))
        except Error as problem:
            message = problem.message
        folder = self._vendor / name
        if next(folder.parent.glob(f"{folder.name}-*.wapp"), None):
            where = _shown(folder.parent, self._directory)
            pack = f"; the pack in {where} must be unpacked into {folder.name}/ to be read"
        else:
            pack = f", or put its source into {_shown(folder, self._directory)} or name it in workspace.replacements"
        return Error(message + pack, NOT_FOUND)

    def _unpacked(self, name: str, path: Path, shown: str, version: str) -> Package:
        """Return the package in a directory; its wippy.yaml knows the version best, as it moves with the source."""
        manifest = self._manifest(path / "wippy.yaml", f"{shown}/wippy.yaml")
        stated = manifest.get("version")
        excluded = manifest.get("exclude") or []
        exclude = [text for text in excluded if isinstance(text, str)] if isinstance(excluded, list) else []
        source = path / "src"
        inner = source if source.is_dir() else path
        return Package(
            name, inner, f"{shown}/src" if inner is source else shown, str(stated) if stated else version, exclude
        )

    def _manifest(self, path: Path, shown: str) -> dict[str, Any]:
        try:
            document = Document(path.read_bytes(), shown)
        except FileNotFoundError:
            return {}
        except OSError as problem:
            raise Error(f"{shown}: cannot read the file: {problem.strerror}", INVALID) from None
        return document.value(document.root) if isinstance(document.root, yaml.MappingNode) else {}


def _shown(path: Path, directory: Path) -> str:
    """Return a path as users know it: relative to the application; "" for the application's directory itself."""
    relative = Path(os.path.relpath(path, directory)).as_posix()
    return "" if relative == "." else relative
