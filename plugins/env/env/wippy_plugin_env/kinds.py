"""The kinds env.variable and env.storage.* (manual page `system/env`). All come before the entries that read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from wippy.errors import INVALID, Error
from wippy.kind import ConfigType, Kind, Ref
from wippy.registry.entry import Entry
from wippy_plugin_env.file import FileStorage
from wippy_plugin_env.router import RouterStorage
from wippy_plugin_env.storage import EnvStorage, MemoryStorage, OsStorage, StaticStorage
from wippy_plugin_env.variables import Variable, variables_of

__all__ = ["FileKind", "MemoryKind", "OsKind", "RouterKind", "StaticKind", "VariableKind"]

_NAME = re.compile(r"[A-Za-z0-9_]+")

#: A value as YAML may have it; it is kept as text.
_Scalar = str | int | float | bool


class NoFields(msgspec.Struct):
    """A storage with nothing to say."""


class FileConfig(msgspec.Struct):
    """Fields of env.storage.file. Modes are numbers, or octal text such as "0600"."""

    file_path: str
    auto_create: bool = False
    file_mode: int | str = 0o644
    dir_mode: int | str = 0o755


class StaticConfig(msgspec.Struct):
    """Fields of env.storage.static."""

    values: dict[str, _Scalar] = {}


class RouterConfig(msgspec.Struct):
    """Fields of env.storage.router."""

    storages: list[Ref]


class VariableConfig(msgspec.Struct):
    """Fields of env.variable."""

    storage: Ref
    variable: str | None = None
    default: _Scalar | None = None
    readonly: bool = False


def _text(value: _Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class StorageKind(Kind[ConfigType]):
    """A kind of storage. Subclasses make the storage of an entry."""

    foundation = True

    def make(self, entry: Entry, config: Any) -> EnvStorage:
        """Return the storage of an entry.

        Raises Error for what cannot work.
        """
        raise NotImplementedError

    async def add(self, entry: Entry, config: ConfigType) -> None:
        self.app.resources.put(entry.id, self.make(entry, config))
        variables_of(self.app)

    async def update(self, entry: Entry, config: ConfigType, before: Entry) -> None:
        """Replace the storage in one step."""
        storage = self.make(entry, config)
        self.app.resources.remove(entry.id)
        self.app.resources.put(entry.id, storage)

    async def delete(self, entry: Entry) -> None:
        self.app.resources.remove(entry.id)


class MemoryKind(StorageKind[NoFields]):
    """env.storage.memory."""

    config = NoFields

    def make(self, entry: Entry, config: Any) -> EnvStorage:
        return MemoryStorage()

    async def update(self, entry: Entry, config: NoFields, before: Entry) -> None:
        """Nothing about it can change, and its values stay."""


class OsKind(StorageKind[NoFields]):
    """env.storage.os."""

    config = NoFields

    def make(self, entry: Entry, config: Any) -> EnvStorage:
        return OsStorage(entry.id)


class StaticKind(StorageKind[StaticConfig]):
    """env.storage.static."""

    config = StaticConfig

    def make(self, entry: Entry, config: Any) -> EnvStorage:
        return StaticStorage(entry.id, {name: _text(value) for name, value in config.values.items()})


class FileKind(StorageKind[FileConfig]):
    """env.storage.file."""

    config = FileConfig

    def make(self, entry: Entry, config: Any) -> EnvStorage:
        path = (self.app.directory or Path.cwd()) / config.file_path
        storage = FileStorage(path, _mode(config.file_mode, entry, "file_mode"))
        directory_mode = _mode(config.dir_mode, entry, "dir_mode")
        try:
            if config.auto_create:
                storage.create(directory_mode)
            storage.refresh()
        except Error as problem:
            raise Error(f"{entry.where('file_path')}: {problem}", problem.kind) from None
        return storage


def _mode(value: int | str, entry: Entry, field: str) -> int:
    # YAML reads 0600 as octal by itself; text comes from JSON and from newer YAML.
    try:
        mode = int(value.removeprefix("0o"), 8) if isinstance(value, str) else value
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise Error(f'{entry.where(field)}: {field} must be a file mode such as 0600, got "{value}"', INVALID)
    return mode


class RouterKind(StorageKind[RouterConfig]):
    """env.storage.router."""

    config = RouterConfig

    def make(self, entry: Entry, config: Any) -> EnvStorage:
        if not config.storages:
            raise Error(f"{entry.where('storages')}: a router needs at least one storage", INVALID)
        if entry.id in self._reachable(config.storages):
            raise Error(f"{entry.where('storages')}: the router leads back to itself", INVALID)
        return RouterStorage(self.app.resources, config.storages)

    def _reachable(self, start: Iterable[str]) -> set[str]:
        """Return the storages that reading may come to. Of routers in a circle the last one made sees all others."""
        routers = self.app.resources.all(RouterStorage)
        seen: set[str] = set()
        waiting = list(start)
        while waiting:
            storage_id = waiting.pop()
            if storage_id not in seen:
                seen.add(storage_id)
                waiting.extend(routers[storage_id].storages if storage_id in routers else ())
        return seen


class VariableKind(Kind[VariableConfig]):
    """env.variable."""

    config = VariableConfig
    foundation = True

    async def add(self, entry: Entry, config: VariableConfig) -> None:
        if config.variable is not None and not _NAME.fullmatch(config.variable):
            raise Error(
                f'{entry.where("variable")}: "{config.variable}" is no variable name: use letters, digits and _',
                INVALID,
            )
        default = None if config.default is None else _text(config.default)
        variable = Variable(
            id=entry.id,
            name=config.variable,
            key=config.variable or entry.name,
            storage=config.storage,
            default=default,
            readonly=config.readonly,
        )
        variables_of(self.app).put(variable)

    async def update(self, entry: Entry, config: VariableConfig, before: Entry) -> None:
        """Replace the variable; it keeps its public name if it had it."""
        await self.add(entry, config)

    async def delete(self, entry: Entry) -> None:
        variables_of(self.app).remove(entry.id)
