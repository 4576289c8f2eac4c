"""Kinds in one App: the registry's only listener, which gives each entry to the plugin that understands its kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.kind import Kind, decode_config, named_references
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.registry.environment import resolve

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["Environment", "Kinds"]


class Environment:
    """What `${env:NAME}` and `_env` fields read. The plugin that has env.variable entries replaces this empty one."""

    def lookup(self, name: str) -> str | None:
        """Return a variable's value, or None when there is no such variable."""
        return None


class Kinds:
    """The kind objects of one App, made when the first entry of a kind appears."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._kinds: dict[str, Kind[Any]] = {}

    def of(self, entry: Entry) -> Kind[Any]:
        """Return the object for an entry's kind.

        Raises Error(NotFound) that says what to install, or the reason why the plugin does not load.
        """
        kind = self._kinds.get(entry.kind)
        if kind is None:
            kind = self._app.plugins.load("wippy.kinds", entry.kind, entry.where("kind"))(self._app)
            self._kinds[entry.kind] = kind
        return kind

    def needs(self, entry: Entry) -> Iterable[str]:
        """Return the ids that an entry refers to; nothing for one that cannot be understood."""
        try:
            return list(self.of(entry).needs(entry))
        except Error:
            return ()

    def is_foundation(self, entry: Entry) -> bool:
        """Tell whether an entry comes before all others, being what they read their settings from."""
        return entry.kind in self._kinds and self._kinds[entry.kind].foundation

    async def accept(self, operation: Operation) -> None:
        """Make an operation true, or raise to reject it (registry.Listener)."""
        entry = operation.entry
        kind = self.of(entry)
        if operation.op is Op.DELETE:
            await kind.delete(entry)
            return
        config = self._config(kind, entry)
        if operation.op is Op.CREATE:
            await kind.add(entry, config)
        else:
            assert operation.before is not None
            before = operation.before
            if before.kind != entry.kind:
                await self.of(before).delete(before)
                await kind.add(entry, config)
            else:
                await kind.update(entry, config, before)

    def committed(self, operations: Iterable[Operation]) -> None:
        """Tell the kinds that a change touched that it was accepted."""
        names = {entry.kind for o in operations for entry in (o.entry, o.before) if entry is not None}
        for kind in [self._kinds[name] for name in sorted(names) if name in self._kinds]:
            kind.committed()

    def _config(self, kind: Kind[Any], entry: Entry) -> Any:
        data, missing = resolve(
            entry.data, self._app.environment.lookup, skip=entry.place.sources if entry.place else ()
        )
        for field, variable in missing:
            raise Error(
                f'{entry.where(field.split(".")[0])}: field "{field}": environment variable "{variable}" is not defined '
                f"by any env.variable entry, and there is no default",
                NOT_FOUND,
            )
        entry = msgspec.structs.replace(entry, data=data)
        config = decode_config(entry, kind.config, kind.meta_fields, self._app.warn, kind.open_data)
        pending = self._app.registry.pending
        for field, target in named_references(config):
            if target not in pending:
                raise Error(f'{entry.where(field.split(".")[0])}: field "{field}" refers to {target}, which does not exist'
                            f"{_suggest(target, pending)}", INVALID)  # fmt: skip
        return config


def _suggest(target: str, ids: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(target, list(ids), 1, 0.75)
    return f'; did you mean "{close[0]}"?' if close else ""
