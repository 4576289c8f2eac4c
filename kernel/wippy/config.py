"""The runtime configuration: `.wippy.yaml`, files composed over it, profiles, and `--set`.

Source: manual page `guides/configuration`, sections "Config Composition" and "Profiles"; `guides/cli` for `--set` and
for `${env:NAME}`, which is a variable of the operating system here (not so in entries: wippy.registry.environment).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from wippy.config_keys import FREE, KEYS, Key
from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.registry.document import Document
from wippy.registry.environment import parse_default
from wippy.units import parse_duration, parse_scalar

__all__ = ["DEFAULT_FILE", "Config"]

DEFAULT_FILE = ".wippy.yaml"

_Path = tuple[str, ...]
_REFERENCE = re.compile(
    r"(?P<escape>\$\$\{)"
    r"|\$\{env:(?P<env>[^}|]+)(?:\|(?P<default>[^}]*))?\}"
    r"|\$\{(?P<var>[A-Za-z_][A-Za-z0-9_.-]*)\}"
)
_LIST_OPERATION = re.compile(r"(namespaces|entries)\.(add|remove)")


class Config:
    """Settings by dotted path. `directory` is what relative paths in it start from.

    `warnings` are unknown keys; `ignored` are documented keys that mean nothing to this runtime.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        directory: Path | None = None,
        warnings: Iterable[str] = (),
        ignored: Iterable[str] = (),
    ) -> None:
        self._values = dict(values or {})
        self.directory = directory or Path.cwd()
        self.warnings = list(warnings)
        self.ignored = list(ignored)

    @classmethod
    def load(
        cls,
        directory: Path | None = None,
        *,
        files: Sequence[str | Path] = (),
        profiles: Sequence[str] = (),
        settings: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        keys: Iterable[Key] = (),
    ) -> Config:
        """Return the configuration of the application in `directory` (None: no file unless `files` names some).

        `files` replace the optional `.wippy.yaml`, relative to the working directory; later ones win, and the first
        says what relative paths start from. `profiles` come over the files, `settings` (`section.key=value`) over both.
        `keys` are those of plugins, known besides the documented ones. Raises Error: for a file that is missing or does
        not parse and for an unknown profile at once, for variables and values of the wrong type with a line each.
        """
        environ = os.environ if environ is None else environ
        known = {**KEYS, **{key.path: key for key in keys}}
        builder = _Builder(known, environ)
        paths = [Path(file) for file in files]
        if paths:
            anchor = Path(os.path.abspath(paths[0])).parent
            for path in paths:
                builder.add_file(path, str(path))
        else:
            anchor = Path(os.path.abspath(directory)) if directory is not None else Path.cwd()
            default = anchor / DEFAULT_FILE
            if directory is not None and default.exists():
                builder.add_file(default, DEFAULT_FILE)
        builder.apply_profiles(profiles)
        builder.apply_environment()
        for setting in settings:
            builder.set(setting)
        return builder.finish(anchor)

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a dotted path, else `default`, else the documented default, else None."""
        value: Any = self._values
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            value = default
        if value is None and path in KEYS:
            value = KEYS[path].default
        return list(value) if isinstance(value, tuple) else value

    def seconds(self, path: str, default: str | float | None = None) -> float:
        """Return a duration in seconds; without value and default it is 0."""
        value = self.get(path, default)
        return parse_duration(value) if value is not None else 0.0

    def section(self, name: str) -> dict[str, Any]:
        """Return what is configured in a section, without defaults; an absent section is empty."""
        section = self._values.get(name)
        return dict(section) if isinstance(section, dict) else {}


class _Builder:
    """Composes the layers; every value keeps the place it came from."""

    def __init__(self, known: Mapping[str, Key], environ: Mapping[str, str]) -> None:
        self._known = known
        self._environ = environ
        self._values: dict[str, Any] = {}
        self._profiles: dict[str, Any] = {}
        self._places: dict[_Path, str] = {}
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._ignored: list[str] = []
        self._variables: dict[str, Any] = {}

    # Layers ---------------------------------------------------------------------------------------------------------

    def add_file(self, path: Path, shown: str) -> None:
        try:
            document = Document(path.read_bytes(), shown)
            if document.root is None:
                return
            if not isinstance(document.root, yaml.MappingNode):
                raise Error(f"{document.at(document.root)}: a configuration is a mapping of sections", INVALID)
            values = document.value(document.root)
            self._note_places(document, document.root, ())
        except FileNotFoundError:
            raise Error(f"configuration file {shown} does not exist", NOT_FOUND) from None
        except OSError as problem:
            raise Error(f"configuration file {shown} cannot be read: {problem.strerror}", INVALID) from None
        profiles = values.pop("profiles", None) or {}
        if not isinstance(profiles, dict) or not all(isinstance(p, dict) or p is None for p in profiles.values()):
            raise Error(f'{self._places[("profiles",)]}: "profiles" must be a mapping of names to sections', INVALID)
        _merge(self._values, values)
        _merge(self._profiles, {name: profile or {} for name, profile in profiles.items()})

    def _note_places(self, document: Document, node: yaml.Node, path: _Path) -> None:
        if isinstance(node, yaml.MappingNode):
            for name, field in document.fields(node).items():
                self._places[(*path, name)] = f"{document.file}:{field.line}:{field.column}"
                self._note_places(document, field.node, (*path, name))

    def apply_profiles(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._profiles:
                declared = ", ".join(sorted(self._profiles)) or "none"
                raise Error(f'there is no profile "{name}" (declared: {declared})', NOT_FOUND)
            profile = dict(self._profiles[name])
            for path, place in list(self._places.items()):
                if len(path) > 2 and path[:2] == ("profiles", name):
                    self._places[path[2:]] = place
            if isinstance(profile.get("vars"), dict):
                profile["vars"] = {key: self._without_env(key, value) for key, value in profile["vars"].items()}
            if isinstance(profile.get("disable"), dict):
                profile["disable"] = self._with_operations(profile["disable"])
            _merge(self._values, profile)

    def _without_env(self, name: str, value: Any) -> Any:
        if "${env:" not in str(value):
            return value
        self._problems.append(
            f"{self._at(('vars', name))}: ${{env:...}} is not allowed in the vars of a profile: put it into the vars "
            "of the file"
        )
        return None

    def _with_operations(self, disable: dict[str, Any]) -> dict[str, Any]:
        """Replace `namespaces.add` and its like by the lists that they lead to."""
        result = {key: value for key, value in disable.items() if not _LIST_OPERATION.fullmatch(key)}
        for key, value in disable.items():
            match = _LIST_OPERATION.fullmatch(key)
            if match is None:
                continue
            name, operation = match.groups()
            base = self._values.get("disable")
            before = _listed(result[name] if name in result else base.get(name) if isinstance(base, dict) else None)
            items = _listed(value)
            if operation == "add":
                result[name] = before + [item for item in items if item not in before]
            else:
                result[name] = [item for item in before if item not in items]
        return result

    def apply_environment(self) -> None:
        """Apply the variables of the operating system that are documented to override a key."""
        for key in self._known.values():
            for name in key.environment:
                value = self._environ.get(name.removeprefix("!"))
                if not value:
                    continue
                if not name.startswith("!"):
                    self._put(tuple(key.path.split(".")), value, f"environment variable {name}")
                    break
                if value.lower() == "true":
                    self._put(tuple(key.path.split(".")), False, f"environment variable {name[1:]}")

    def set(self, setting: str) -> None:
        path, equals, value = setting.partition("=")
        free = next((prefix for prefix in FREE if path.startswith(f"{prefix}.")), None)
        # In free sections the rest is one key, as in override.app:db:meta.x.
        parts = (*free.split("."), path[len(free) + 1 :]) if free else tuple(path.split("."))
        if not equals or not all(parts) or (len(parts) < 2 and path not in self._known):
            raise Error(f'--set "{setting}": expected section.key=value', INVALID)
        self._put(parts, parse_scalar(value), f'--set "{setting}"')

    def _put(self, path: _Path, value: Any, origin: str) -> None:
        nested: Any = value
        for part in reversed(path):
            nested = {part: nested}
        _merge(self._values, nested)
        for length in range(1, len(path) + 1):
            self._places.setdefault(path[:length], origin)
        self._places[path] = origin

    # The result -----------------------------------------------------------------------------------------------------

    def finish(self, directory: Path) -> Config:
        variables = self._values.get("vars")
        self._variables = variables if isinstance(variables, dict) else {}
        values = {
            # A variable is on the way to itself, so that a circle is found where it begins.
            name: {n: self._interpolated(v, ("vars", n), (n,)) for n, v in value.items()}
            if value is self._variables
            else self._interpolated(value, (name,), ())
            for name, value in self._values.items()
            if value is not None
        }
        checked = {name: self._checked(value, (name,)) for name, value in values.items()}
        if self._problems:
            problems = list(dict.fromkeys(self._problems))
            raise Error("\n".join(problems), INVALID, details={"problems": problems})
        return Config(checked, directory, self._warnings, self._ignored)

    def _at(self, path: _Path) -> str:
        return self._places.get(path) or self._places.get(path[:-1], ".".join(path))

    def _interpolated(self, value: Any, path: _Path, via: _Path) -> Any:
        """Return a value with its references replaced. `via` are the variables on the way, to find circles."""
        if isinstance(value, dict):
            return {key: self._interpolated(item, (*path, key), via) for key, item in value.items()}
        if isinstance(value, list):
            return [self._interpolated(item, path, via) for item in value]
        if not isinstance(value, str) or "${" not in value:
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole and not whole["escape"]:
            found = self._referenced(whole, path, via)
            typed = whole["default"] is not None and not isinstance(parse_default(whole["default"]), str)
            return parse_scalar(found) if typed else found
        return _REFERENCE.sub(
            lambda match: "${" if match["escape"] else _text(self._referenced(match, path, via)), value
        )

    def _referenced(self, match: re.Match[str], path: _Path, via: _Path) -> Any:
        if match["env"]:
            default = match["default"]
            found = self._environ.get(match["env"], None if default is None else _text(parse_default(default)))
            if found is None:
                self._problems.append(
                    f'{self._at(path)}: environment variable "{match["env"]}" is not set: set it, or write '
                    f"${{env:{match['env']}|default}}"
                )
            return found
        name = match["var"]
        if name in via:
            self._problems.append(
                f'{self._at(path)}: the variable "{name}" refers to itself: {" > ".join((*via, name))}'
            )
            return None
        if name not in self._variables:
            hint = _suggestion(name, self._variables)
            self._problems.append(f'{self._at(path)}: there is no variable "{name}" in vars{hint}')
            return None
        return self._interpolated(self._variables[name], ("vars", name), (*via, name))

    def _checked(self, value: Any, path: _Path) -> Any:
        """Return a value as its key's type; note what is unknown, unused or of another type."""
        dotted = ".".join(path)
        key = self._known.get(dotted)
        if key is not None:
            if value is None:
                return None
            if not key.used:
                self._ignored.append(f"{self._at(path)}: {dotted} has no meaning here")
            try:
                return value if dotted in FREE and isinstance(value, dict) else _fitted(value, key.type)
            except (Error, ValueError) as problem:
                self._problems.append(f"{self._at(path)}: {dotted} {problem}")
                return None
        inside = [k for k in self._known if k.startswith(f"{dotted}.")]
        if dotted not in FREE and not inside:
            self._warn_unknown(path)
            return value
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._problems.append(f"{self._at(path)}: {dotted} must be a mapping, got {value!r}")
            return {}
        return value if dotted in FREE else {name: self._checked(item, (*path, name)) for name, item in value.items()}

    def _warn_unknown(self, path: _Path) -> None:
        depth = len(path) - 1
        known = [k.split(".") for k in (*self._known, *FREE)]
        siblings = {k[depth] for k in known if len(k) > depth and tuple(k[:depth]) == path[:-1]}
        hint = _suggestion(path[-1], siblings)
        if path[0] == "disable" and _LIST_OPERATION.fullmatch(path[-1]):
            hint = ": list operations belong into a profile"
        what = "section" if depth == 0 else "key"
        self._warnings.append(f'{self._at(path)}: unknown {what} "{".".join(path)}"{hint}')


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Write `over` into `base`, mapping by mapping; lists and scalars replace what was there."""
    for key, value in over.items():
        before = base.get(key)
        if isinstance(value, dict) and (isinstance(before, dict) or before is None):
            base[key] = copied = dict(before or {})
            _merge(copied, value)
        else:
            base[key] = value


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """Return a value as YAML would show it inside other text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fitted(value: Any, wanted: str) -> Any:
    """Return a value as the type of its key; text that came from a variable is read by its shape.

    Raises ValueError, or Error for a duration, with a message that follows the key's name.
    """
    if wanted == "duration":
        try:
            parse_duration(value)
        except Error as problem:
            raise ValueError(f"is wrong: {problem.message}") from None
        return value
    if wanted == "string" and not isinstance(value, (bool, list, dict)):
        return str(value)
    if wanted == "strings" and not isinstance(value, (bool, dict)):
        items = value if isinstance(value, list) else [part.strip() for part in str(value).split(",")]
        if all(not isinstance(item, (list, dict)) for item in items):
            return [_text(item) for item in items]
    if wanted == "map" and isinstance(value, dict):
        return value
    shaped = parse_scalar(value) if isinstance(value, str) and wanted in ("bool", "int", "float") else value
    if wanted == "bool" and isinstance(shaped, bool):
        return shaped
    if wanted == "int" and isinstance(shaped, (int, float)) and not isinstance(shaped, bool) and shaped == int(shaped):
        return int(shaped)
    if wanted == "float" and isinstance(shaped, (int, float)) and not isinstance(shaped, bool):
        return float(shaped)
    raise ValueError(f"must be {_WORDS[wanted]}, got {value!r}")


_WORDS = {
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "string": "text",
    "strings": "a list of texts",
    "map": "a mapping",
}


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f', did you mean "{close[0]}"?' if close else ""
