"""Code: what kinds hand over for entries written in Lua, checked when it arrives and given to workers when they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.module import Module

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["Code", "CodeStore"]

#: How an entry's code may be used.
FUNCTION = "function"
PROCESS = "process"
LIBRARY = "library"


class Code(msgspec.Struct, kw_only=True):
    """The code of one entry.

    `file` is the name that Lua's messages use; `where` tells people which entry it is. `options` go to
    scheduler/lua as they are: pool, default_host, security, call options, limits.
    """

    id: str
    kind: str
    source: str
    file: str
    where: str
    method: str = ""
    modules: list[str] = []
    imports: dict[str, str] = {}
    options: dict[str, Any] = {}


class CodeStore:
    """The current code by entry id. Workers keep compiled copies and are told, once per change, what to forget."""

    def __init__(self, app: App, check: Callable[[bytes, bytes], bytes | None]) -> None:
        self._app = app
        #: Compiles a chunk in the inline VM; returns the complaint, or None.
        self._check = check
        self._codes: dict[str, Code] = {}
        self._modules: dict[str, Module] = {}
        self._changed: set[str] = set()

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._codes

    def get(self, entry_id: str) -> Code:
        """Return the code of an entry.

        Raises Error(NotFound).
        """
        code = self._codes.get(entry_id)
        if code is None:
            raise Error(f"function or process {entry_id} not found", NOT_FOUND)
        return code

    def put(self, code: Code) -> None:
        """Add or replace an entry's code.

        Raises Error for a module that is not installed, an import that is no library, an import cycle, and source that
        does not compile.
        """
        for name in code.modules:
            self.module(name, code.where)
        for alias, target in code.imports.items():
            library = self._codes.get(target)
            if library is None or library.kind != LIBRARY:
                what = "does not exist, or imports this one back" if library is None else f"is a {library.kind}"
                raise Error(f'{code.where}: import "{alias}": {target} {what}', INVALID)
            if code.id in self._closure(target):
                raise Error(f'{code.where}: import "{alias}": {target} imports this entry back', INVALID)
        complaint = self._check(code.source.encode(), code.file.encode())
        if complaint is not None:
            text = complaint.decode(errors="replace")
            raise Error(text if text.startswith(code.where) else f"{code.where}: {text}", INVALID)
        self._codes[code.id] = code
        self._changed.add(code.id)

    def remove(self, entry_id: str) -> None:
        self._codes.pop(entry_id, None)
        self._changed.add(entry_id)

    def module(self, name: str, where: str) -> Module | None:
        """Return an installed module, loading it and its commands the first time; None for a global, always there."""
        if name in self._modules:
            return self._modules[name]
        plugins = self._app.plugins
        if name in plugins.names("wippy.globals"):
            return None
        module: Module = plugins.load("wippy.modules", name, where)
        self.register_commands(module)
        self._modules[name] = module
        return module

    def register_commands(self, module: Module) -> None:
        """Make the Python commands of a module available."""
        if module.commands:
            for name, command in module.commands(self._app).items():
                self._app.node.commands.register(name, command)

    def flush(self) -> None:
        """Tell the workers what changed since the last time, with everything that imports it."""
        if self._changed:
            ids = self._dependents(self._changed)
            self._changed.clear()
            self._app.node.broadcast("changed", sorted(ids))

    def _closure(self, entry_id: str) -> list[str]:
        """Return an entry and all it imports, directly or not, libraries first."""
        order: list[str] = []
        seen: set[str] = set()

        def visit(current: str) -> None:
            if current not in seen and current in self._codes:
                seen.add(current)
                for target in self._codes[current].imports.values():
                    visit(target)
                order.append(current)

        visit(entry_id)
        return order

    def _dependents(self, ids: Iterable[str]) -> set[str]:
        found = set(ids)
        grew = True
        while grew:
            more = {c.id for c in self._codes.values() if c.id not in found and found.intersection(c.imports.values())}
            grew = bool(more)
            found |= more
        return found

    async def bundle(self, entry_id: str) -> dict[str, Any]:
        """Return what a worker needs to run an entry (scheduler/lua/code.lua)."""
        self.get(entry_id)
        codes = [self._codes[i] for i in self._closure(entry_id)]
        names = {name for code in codes for name in code.modules if name in self._modules}
        return {
            "modules": [module_record(self._modules[name]) for name in sorted(names)],
            "entries": [
                {
                    **code.options,
                    "id": code.id,
                    "kind": code.kind,
                    "name": code.file,
                    "source": code.source,
                    "method": code.method,
                    "modules": code.modules,
                    "imports": code.imports,
                }
                for code in codes
            ],
        }


def module_record(module: Module) -> dict[str, Any]:
    """Return a module as workers take it."""
    sources = [module.source] if isinstance(module.source, str) else list(module.source)
    return {"name": module.name, "sources": sources, "permissions": dict(module.permissions)}
