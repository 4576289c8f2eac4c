"""The commands behind the Lua module `registry`. Permissions are checked in Lua, where the caller is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wippy.errors import NOT_FOUND, Error
from wippy.registry.history import Version
from wippy.scheduler.commands import Call, Command
from wippy_plugin_registry.changes import build_delta, operations, to_lua
from wippy_plugin_registry.views import Views

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


def commands(app: App) -> Mapping[str, Command]:
    """Return the handlers. A version is its number; None means the current one. A Version goes to Lua as
    `[id, previous]`, 0 for none.
    """
    registry = app.registry
    views = Views(registry)

    def record(version_id: int) -> list[int]:
        versions = registry.versions()
        if not 1 <= version_id <= len(versions):
            raise Error(f"registry version {version_id} not found", NOT_FOUND, retryable=False)
        return _record(versions[version_id - 1])

    def number(version_id: int | None) -> int:
        return registry.current if version_id is None else version_id

    async def get(_call: Call, version_id: int | None, entry_id: str) -> dict[str, Any]:
        return to_lua(views.get(number(version_id), entry_id))

    async def find(_call: Call, version_id: int | None, query: dict[str, Any]) -> list[dict[str, Any]]:
        # An empty Lua table arrives as a list.
        return [to_lua(entry) for entry in views.find(number(version_id), query or {})]

    async def namespace(_call: Call, version_id: int, name: str) -> list[dict[str, Any]]:
        return [to_lua(entry) for entry in views.namespace(version_id, name)]

    async def version(_call: Call, version_id: int | None = None) -> list[int]:
        return record(number(version_id))

    async def versions(_call: Call) -> list[list[int]]:
        return [_record(version) for version in registry.versions()]

    async def following(_call: Call, version_id: int) -> list[int] | None:
        # After a step back and a new change a version has two successors: the new one is where the history goes on.
        return next((_record(v) for v in reversed(registry.versions()) if v.previous == version_id), None)

    async def apply(_call: Call, changes: list[Any]) -> list[int]:
        return _record(await registry.apply(operations(changes, registry.state, app.kinds)))

    async def apply_version(_call: Call, version_id: int) -> bool:
        await registry.apply_version(version_id)
        return True

    async def delta(_call: Call, before: list[Any], after: list[Any]) -> list[dict[str, Any]]:
        return build_delta(before, after, app.kinds)

    return {
        "registry.get": get,
        "registry.find": find,
        "registry.namespace": namespace,
        "registry.version": version,
        "registry.versions": versions,
        "registry.following": following,
        "registry.apply": apply,
        "registry.apply_version": apply_version,
        "registry.delta": delta,
    }


def _record(version: Version) -> list[int]:
    return [version.id, version.previous]
