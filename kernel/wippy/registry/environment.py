"""`${env:NAME}` placeholders and `<field>_env` siblings in the data of an entry.

Sources: the env row of the reference's semantics table; manual page `system/env`, "Placeholder Interpolation". Names
are those of registered variables (or ids of env.variable entries), never of the operating system's environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from wippy.errors import INVALID, Error
from wippy.units import parse_scalar

__all__ = ["Lookup", "Missing", "names", "parse_default", "resolve"]

Lookup = Callable[[str], str | None]

#: `$${` is an escape; `${NAME|default}` without `env:` needs capitals and a default, so that shell text is left alone.
_PLACEHOLDER = re.compile(
    r"(?P<escape>\$\$\{)"
    r"|\$\{env:(?P<name>[A-Za-z0-9_.:/-]+)(?:\|(?P<default>[^}]*))?\}"
    r"|\$\{(?P<short>[A-Z0-9_]+)\|(?P<short_default>[^}]*)\}"
)
_SUFFIX = "_env"
#: Text of programs and templates, where `${` has a meaning of its own.
_OPAQUE = "source"


class Missing(NamedTuple):
    """A placeholder without value and default: the path of its field, and the variable."""

    field: str
    variable: str


def resolve(data: dict[str, Any], lookup: Lookup, skip: Collection[str] = ()) -> tuple[dict[str, Any], list[Missing]]:
    """Return the data with placeholders and siblings resolved, and what is missing. The data itself is not changed.

    `skip` are paths of fields that keep their text (those that came from a file); `source` always does. A field that
    is one placeholder has the type of its default, a mixture is text. `host_env: NAME` sets `host` and goes away where
    NAME is a variable: an empty one leaves `host` as it is. Raises Error(Invalid) for a value that does not fit the
    type of the default or of the field that a sibling replaces.
    """
    resolver = _Resolver(lookup, skip)
    return resolver.mapping(data, ""), resolver.missing


def names(data: Any) -> Iterator[str]:
    """Yield every variable that placeholders in the data name, outside `source` fields, with repetitions."""
    if isinstance(data, str):
        for match in _PLACEHOLDER.finditer(data):
            name = match["name"] or match["short"]
            if name:
                yield name
    elif isinstance(data, dict):
        for key, value in data.items():
            if key != _OPAQUE:
                yield from names(value)
    elif isinstance(data, list):
        for value in data:
            yield from names(value)


class _Resolver:
    def __init__(self, lookup: Lookup, skip: Collection[str]) -> None:
        self.missing: list[Missing] = []
        self._lookup = lookup
        self._skip = skip

    def mapping(self, data: dict[str, Any], path: str) -> dict[str, Any]:
        result = {key: self._value(value, f"{path}.{key}" if path else key, key) for key, value in data.items()}
        for key, value in data.items():
            if key.endswith(_SUFFIX) and len(key) > len(_SUFFIX) and isinstance(value, str) and value:
                self._sibling(result, key, f"{path}.{key}" if path else key)
        return result

    def _value(self, value: Any, path: str, key: str = "") -> Any:
        if isinstance(value, str):
            return value if "${" not in value or key == _OPAQUE or path in self._skip else self._text(value, path)
        if isinstance(value, dict):
            return self.mapping(value, path)
        if isinstance(value, list):
            return [self._value(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value

    def _text(self, text: str, path: str) -> Any:
        whole = _PLACEHOLDER.fullmatch(text)
        if whole and not whole["escape"]:
            return self._whole(whole, path)
        return _PLACEHOLDER.sub(lambda match: self._part(match, path), text)

    def _whole(self, match: re.Match[str], path: str) -> Any:
        name, default = _parts(match)
        found = self._lookup(name)
        if default is None:
            if found is None:
                self.missing.append(Missing(path, name))
            return found
        fallback = parse_default(default)
        return fallback if found is None else _like(found, fallback, path, name)

    def _part(self, match: re.Match[str], path: str) -> str:
        if match["escape"]:
            return "${"
        name, default = _parts(match)
        found = self._lookup(name)
        if found is not None:
            return found
        if default is None:
            self.missing.append(Missing(path, name))
            return match[0]
        return default[1:-1] if _is_quoted(default) else default

    def _sibling(self, result: dict[str, Any], key: str, path: str) -> None:
        name = result[key]
        found = self._lookup(name) if isinstance(name, str) else None
        if found is None:
            return  # no variable, so not a reference either: a field that happens to end this way
        field = key.removesuffix(_SUFFIX)
        del result[key]
        if found:
            result[field] = _like(found, result.get(field), path, name)


def _parts(match: re.Match[str]) -> tuple[str, str | None]:
    return (match["name"], match["default"]) if match["name"] else (match["short"], match["short_default"])


def _is_quoted(default: str) -> bool:
    return len(default) >= 2 and default[0] == default[-1] and default[0] in "\"'"


def parse_default(default: str) -> Any:
    """Return the value of an inline default: by its shape, or as text where it stands in quotes."""
    return default[1:-1] if _is_quoted(default) else parse_scalar(default)


def _like(text: str, example: Any, path: str, name: str) -> Any:
    """Return the text as a value of the example's type, where that is a boolean or a number."""
    if not isinstance(example, (bool, int, float)):
        return text
    if not text.strip():
        return example  # nothing is not a number
    value = parse_scalar(text.strip())
    kind = type(example)
    if type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return float(value)
    word = {bool: "true or false", int: "an integer", float: "a number"}[kind]
    raise Error(f'field "{path}": variable "{name}" is "{text}", but the field needs {word}', INVALID)
