"""Linking: the values that `ns.dependency` entries give to the `ns.requirement` entries of packages.

Source: manual page `guides/components`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry, qualify
from wippy.registry.fields import parse_path, with_field

__all__ = ["DEPENDENCY", "REQUIREMENT", "Dependency", "read_dependency", "satisfy_requirements"]

DEPENDENCY = "ns.dependency"
REQUIREMENT = "ns.requirement"

_Data = TypeVar("_Data", bound=msgspec.Struct)


class Parameter(msgspec.Struct, frozen=True):
    """A value for a requirement; `""` is a value, and no `value` at all is none."""

    name: str
    value: Any = None


class Target(msgspec.Struct, frozen=True):
    """Where the value of a requirement goes."""

    entry: str
    path: str


class Dependency(msgspec.Struct, frozen=True):
    """The data of an `ns.dependency` entry."""

    component: str
    version: str = "*"
    parameters: list[Parameter] = []


class Requirement(msgspec.Struct, frozen=True):
    """The data of an `ns.requirement` entry."""

    targets: list[Target] = []
    default: Any = None


def read_dependency(entry: Entry) -> Dependency:
    """Return the data of an `ns.dependency` entry.

    Raises Error(Invalid) naming entry, place and field.
    """
    dependency = _read(entry, Dependency)
    organisation, slash, module = dependency.component.partition("/")
    if not (organisation and slash and module) or "/" in module or dependency.component.startswith("."):
        raise Error(
            f"{entry.where('component')}: field `component`: expected organisation/module, got "
            f'"{dependency.component}"',
            INVALID,
        )
    return dependency


def _read(entry: Entry, form: type[_Data]) -> _Data:
    data = {key: value for key, value in entry.data.items() if value is not None}
    try:
        return msgspec.convert(data, form)
    except msgspec.ValidationError as problem:
        message, _, path = str(problem).partition(" - at `$.")
        field = path.rstrip("`")
        at = entry.where(field.split(".")[0].split("[")[0] or None)
        named = f"field `{field}`: " if field else ""
        raise Error(f"{at}: {named}{message[:1].lower()}{message[1:]}", INVALID) from None


def satisfy_requirements(
    entries: Iterable[Entry], owners: Mapping[str, str], left_out: Callable[[str], bool]
) -> tuple[list[Entry], list[str], list[str]]:
    """Return the entries with every requirement's value written to its targets, the warnings, and the problems.

    `owners` gives the package that an entry came from, "" for the application's own; `left_out` tells ids that were
    disabled on purpose, so that a target among them is no surprise.
    """
    base = {entry.id: entry for entry in entries}
    current = base
    # A value may go into another dependency's parameters or another requirement's default, and then on from there.
    for _ in range(1 + sum(entry.kind == REQUIREMENT for entry in base.values())):
        linker = _Linker(base, current, owners, left_out)
        linked = linker.link()
        settled = all(
            linked[key].same_as(entry) for key, entry in current.items() if entry.kind in (DEPENDENCY, REQUIREMENT)
        )
        current = linked
        if settled:
            break
    return list(current.values()), linker.warnings, linker.problems


class _Linker:
    """One round: values as `current` says, written into the entries of `base`."""

    def __init__(
        self,
        base: Mapping[str, Entry],
        current: Mapping[str, Entry],
        owners: Mapping[str, str],
        left_out: Callable[[str], bool],
    ) -> None:
        self.warnings: list[str] = []
        self.problems: list[str] = []
        self._result = dict(base)
        self._owners = owners
        self._left_out = left_out
        self._requirements: dict[str, tuple[Entry, Requirement]] = {}
        self._dependencies: list[tuple[Entry, Dependency]] = []
        #: For each requirement, who gives it a value: the dependency's entry and the value.
        self._given: dict[str, list[tuple[Entry, Any]]] = {}
        for entry in current.values():
            try:
                if entry.kind == REQUIREMENT:
                    self._requirements[entry.id] = entry, _read(entry, Requirement)
                elif entry.kind == DEPENDENCY:
                    self._dependencies.append((entry, read_dependency(entry)))
            except Error as problem:
                self.problems.append(problem.message)

    def link(self) -> dict[str, Entry]:
        for entry, dependency in self._dependencies:
            self._collect(entry, dependency)
        for entry, requirement in self._requirements.values():
            value = self._value(entry, requirement)
            if value is None:
                continue
            if not requirement.targets:
                self.warnings.append(f"{entry.where()}: the requirement has no targets, so its value goes nowhere")
            for target in requirement.targets:
                self._write(entry, target, value)
        return self._result

    def _collect(self, entry: Entry, dependency: Dependency) -> None:
        for parameter in dependency.parameters:
            if parameter.value is None:
                self.warnings.append(f'{entry.where("parameters")}: parameter "{parameter.name}" has no value')
                continue
            wanted = self._matching(parameter.name, dependency.component)
            if wanted is None:
                names = [
                    required.name for required, _ in self._requirements.values()
                    if self._owners.get(required.id) == dependency.component
                ]  # fmt: skip
                close = difflib.get_close_matches(parameter.name, names, 1)
                hint = f', did you mean "{close[0]}"?' if close else ""
                self.warnings.append(
                    f'{entry.where("parameters")}: parameter "{parameter.name}" names no requirement of '
                    f"{dependency.component}{hint}"
                )
                continue
            self._given.setdefault(wanted, []).append((entry, parameter.value))

    def _matching(self, name: str, component: str) -> str | None:
        """Return the id of the requirement that a parameter means: a bare name stays within the component."""
        if ":" in name:
            return name if name in self._requirements else None
        for required, _ in self._requirements.values():
            if required.name == name and self._owners.get(required.id) == component:
                return required.id
        return None

    def _value(self, entry: Entry, requirement: Requirement) -> Any:
        """Return the value of a requirement, None (with a problem) where nobody gives one."""
        given = self._given.get(entry.id, [])
        # What the application itself says wins over what one package says to another.
        chosen = [g for g in given if not self._owners.get(g[0].id)] or given
        if not chosen:
            if requirement.default is None:
                self.problems.append(self._missing(entry))
            return requirement.default
        first, value = chosen[0]
        for other, different in chosen[1:]:
            if different != value:
                self.problems.append(
                    f'requirement "{entry.id}" gets {value!r} from {first.where("parameters")} and {different!r} from '
                    f"{other.where('parameters')}: make them agree, or give it in the application's own dependency"
                )
                break
        return value

    def _missing(self, entry: Entry) -> str:
        owner = self._owners.get(entry.id, "")
        what = f'{entry.where()}: requirement "{entry.name}" has no value and no default: '
        if not owner:
            return what + f"give it a default, or start with -o {entry.id}:default=..."
        mounting = [e for e, dependency in self._dependencies if dependency.component == owner]
        own = next((e for e in mounting if not self._owners.get(e.id)), None)
        if own is not None:
            return what + f"add {{name: {entry.name}, value: ...}} to the parameters of {own.where('parameters')}"
        by = f" ({mounting[0].where('parameters')} does not give it)" if mounting else ""
        return what + f'add {{name: "{entry.id}", value: ...}} to the parameters of one of the application{by}'

    def _write(self, entry: Entry, target: Target, value: Any) -> None:
        target_id = qualify(target.entry, entry.namespace)
        before = self._result.get(target_id)
        if before is None:
            if not self._left_out(target_id):
                self.warnings.append(f'{entry.where("targets")}: target "{target_id}" does not exist')
            return
        try:
            segments, append = parse_path(target.path)
            self._result[target_id] = with_field(before, segments, value, append)
        except Error as problem:
            self.problems.append(f'{entry.where("targets")}: target "{target_id}": {problem.message}')
