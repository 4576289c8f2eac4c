"""`registry.find`: parsing queries and answering them from an index.

The query language is that of the reference ("find" row of the semantics table): `.kind`, `.ns`, `.name`, `.id` take
globs, `meta.x` compares a field of the metadata, and an operator may stand before a meta key.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry, split_id

__all__ = ["Index"]

Matcher = Callable[[Any], bool]
_HEAD = ("id", "kind", "ns", "name")
_OPERATORS = "~*^$"


class Index:
    """Entries by every attribute a query can name.

    Invariant: after every `add` and `remove` it describes exactly the entries it holds; the registry calls these in
    the same step in which it replaces its state, so no change leaves it stale.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[str, Entry] = {}
        # attribute -> value -> ids, an attribute being one of _HEAD or "meta.<key>"; ids in a dict keep their order.
        self._values: dict[str, dict[Any, dict[str, None]]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        for attribute, value in _attributes(entry):
            self._values.setdefault(attribute, {}).setdefault(value, {})[entry.id] = None

    def remove(self, entry_id: str) -> None:
        for attribute, value in _attributes(self._entries.pop(entry_id)):
            values = self._values[attribute]
            ids = values[value]
            ids.pop(entry_id, None)
            if not ids:
                del values[value]

    def find(self, query: Mapping[str, Any]) -> list[Entry]:
        """Return the entries that match every condition, by id.

        Raises Error(Invalid) for a malformed operator or regular expression.
        """
        found: set[str] | None = None
        for attribute, match, exact in _conditions(query):
            hits: set[str] = set()
            values = self._values.get(attribute, {})
            if exact is not _ANY:
                hits.update(values.get(_key(exact), ()))
            else:
                for value, ids in values.items():
                    if match(value[1] if attribute.startswith("meta.") else value):
                        hits.update(ids)
            found = hits if found is None else found & hits
            if not found:
                return []
        chosen = self._entries if found is None else found
        return [self._entries[i] for i in sorted(chosen)]


_ANY = object()


def _attributes(entry: Entry) -> Iterable[tuple[str, Any]]:
    namespace, name = split_id(entry.id)
    yield "id", entry.id
    yield "kind", entry.kind
    yield "ns", namespace
    yield "name", name
    for key, value in entry.meta.items():
        yield f"meta.{key}", _key(value)


def _key(value: Any) -> tuple[str, Any]:
    """Return a hashable form that keeps types apart (True is not 1) and lists comparable."""
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, (int, float)):
        return "number", value
    if isinstance(value, str):
        return "string", value
    if isinstance(value, (list, tuple)):
        return "list", tuple(_key(v) for v in value)
    if isinstance(value, dict):
        return "map", tuple(sorted((k, _key(v)) for k, v in value.items()))
    return "other", value


def _conditions(query: Mapping[str, Any]) -> Iterable[tuple[str, Matcher, Any]]:
    for key, wanted in query.items():
        if key == "meta" and isinstance(wanted, Mapping):
            yield from _conditions({f"meta.{k}": v for k, v in wanted.items()})
        elif key.startswith("."):
            if key[1:] in _HEAD:  # any other `.x` is ignored, as the reference says
                yield _head(key[1:], wanted)
        elif key in _HEAD:
            yield _head(key, wanted)
        elif key[:1] in _OPERATORS:
            yield _operator(key, wanted)
        else:
            attribute = key if key.startswith("meta.") else f"meta.{key}"
            yield attribute, bool, wanted


def _head(attribute: str, wanted: Any) -> tuple[str, Matcher, Any]:
    pattern = re.compile(fnmatch.translate(str(wanted)))
    return attribute, lambda value: pattern.match(value) is not None, _ANY


def _operator(key: str, wanted: Any) -> tuple[str, Matcher, Any]:
    operator, attribute = key[0], key[1:]
    if not attribute.startswith("meta.") or attribute == "meta.":
        raise Error(f'registry query: operator "{operator}" needs a meta key after it, as in "{operator}meta.class"',
                    INVALID)  # fmt: skip
    if not isinstance(wanted, str):
        raise Error(f'registry query: "{key}" compares with a string, got {type(wanted).__name__}', INVALID)
    test = _text_test(operator, key, wanted)

    def match(value: Any) -> bool:
        if isinstance(value, tuple):  # a list: `*` looks at its items, the other operators at strings only
            return operator == "*" and any(kind == "string" and test(item) for kind, item in value)
        return isinstance(value, str) and test(value)

    return attribute, match, _ANY


def _text_test(operator: str, key: str, wanted: str) -> Callable[[str], bool]:
    if operator == "*":
        return lambda text: wanted in text
    if operator == "^":
        return lambda text: text.startswith(wanted)
    if operator == "$":
        return lambda text: text.endswith(wanted)
    try:
        search = re.compile(wanted).search
    except re.error as problem:
        raise Error(f'registry query: "{key}" is not a valid regex: {problem}', INVALID) from None
    return lambda text: search(text) is not None
