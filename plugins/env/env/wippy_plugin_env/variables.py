"""Variables: names for values in storages, and what `${env:…}` in entries reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from wippy.errors import NOT_FOUND, Error
from wippy.kinds import Environment
from wippy.resources import Resources
from wippy_plugin_env.storage import EnvStorage, read_only

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["Variable", "Variables", "variables_of"]


class Variable(msgspec.Struct, frozen=True):
    """One env.variable. `name` is the public name, if any; `key` what its storage knows it by."""

    id: str
    name: str | None
    key: str
    storage: str
    default: str | None = None
    readonly: bool = False


class Variables(Environment):
    """The variables of one App, by entry id and by public name."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._by_id: dict[str, Variable] = {}
        # Public name -> ids in the order in which they claimed it; the first has it.
        self._claims: dict[str, list[str]] = {}

    def put(self, variable: Variable) -> None:
        """Add a variable, or replace the one of the same id, which keeps its place among those of its name."""
        before = self._by_id.get(variable.id)
        if before and before.name != variable.name:
            self.remove(variable.id)
        self._by_id[variable.id] = variable
        if variable.name is not None:
            claims = self._claims.setdefault(variable.name, [])
            if variable.id not in claims:
                claims.append(variable.id)

    def remove(self, entry_id: str) -> None:
        """Forget a variable; its name goes to the next that claimed it."""
        variable = self._by_id.pop(entry_id)
        if variable.name is not None:
            claims = self._claims[variable.name]
            claims.remove(entry_id)
            if not claims:
                del self._claims[variable.name]

    def lookup(self, name: str) -> str | None:
        """Return the value of a variable by public name or id; None when it is unknown, or has neither value nor default.

        Raises the Error of a storage that cannot be read.
        """
        variable = self._find(name)
        if variable is None:
            return None
        value = self._storage(variable).get(variable.key)
        return variable.default if value is None else value

    def get(self, name: str) -> str:
        """Return the value of a variable.

        Raises Error(NotFound) when it is unknown, or has neither value nor default.
        """
        value = self.lookup(name)
        if value is None:
            why = "has no value and no default" if self._find(name) else "is not defined by any env.variable entry"
            raise Error(f'environment variable "{name}" {why}', NOT_FOUND, retryable=False)
        return value

    def set(self, name: str, value: str) -> None:
        """Set a variable.

        Raises Error(NotFound) for an unknown one, Error(PermissionDenied) where it or its storage is read-only.
        """
        variable = self._find(name)
        if variable is None:
            raise Error(f'environment variable "{name}" is not defined by any env.variable entry', NOT_FOUND,
                        retryable=False)  # fmt: skip
        if variable.readonly:
            raise read_only(f'environment variable "{name}"')
        self._storage(variable).set(variable.key, value)

    def names(self) -> Iterable[str]:
        """Return the public names in alphabetical order."""
        return sorted(self._claims)

    def _find(self, name: str) -> Variable | None:
        claims = self._claims.get(name)
        return self._by_id.get(claims[0] if claims else name)

    def _storage(self, variable: Variable) -> EnvStorage:
        return self._resources.get(variable.storage, EnvStorage)  # type: ignore[type-abstract]


def variables_of(app: App) -> Variables:
    """Return the variables of an App, which from the first time on are its environment."""
    if not isinstance(app.environment, Variables):
        app.environment = Variables(app.resources)
    return app.environment
