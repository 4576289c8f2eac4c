"""Patterns and the tree that matches them: the rules of Go's ServeMux, which the original's routes follow.

Sources: reference, semantics row "router"; manual http/router and http/endpoint; the public documentation of Go's
`net/http` for what those leave out (precedence, conflicts, HEAD served by GET).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from wippy.errors import INVALID, Error

__all__ = ["ANY", "METHODS", "Conflicts", "Mux", "Pattern", "Relation"]

#: The method of a pattern that matches every method.
ANY = "*"
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", ANY)

_NAME = re.compile(r"[^\W\d]\w*")


class Segment(NamedTuple):
    """One part of a path. `kind` is LITERAL (`text` is decoded), ONE, REST, or END for the `{$}` at the end."""

    kind: str
    text: str = ""


LITERAL, ONE, REST, END = "literal", "one", "rest", "end"


class Relation(Enum):
    """How the requests that one pattern matches stand to those of another."""

    EQUAL = 0
    MORE_GENERAL = 1
    MORE_SPECIFIC = 2
    OVERLAPS = 3
    DISJOINT = 4

    def combined(self, other: Relation) -> Relation:
        """Return the relation of two patterns from that of one aspect (the method) and of another (the path)."""
        if self is Relation.DISJOINT or other is Relation.DISJOINT:
            return Relation.DISJOINT
        if self is Relation.EQUAL or self is other:
            return other
        return self if other is Relation.EQUAL else Relation.OVERLAPS


class Pattern(NamedTuple):
    """A method and a path. `names` are the parameters in the order of the path."""

    method: str
    path: str
    segments: tuple[Segment, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, method: str, path: str) -> Pattern:
        """Return the pattern.

        Raises Error(Invalid) that says what is wrong with the method or the path.
        """
        method = method.upper()
        if method not in METHODS:
            raise Error(f'method "{method}" is not one of {", ".join(METHODS)}', INVALID)
        if not path.startswith("/"):
            raise Error(f'path "{path}" does not start with "/"', INVALID)
        segments: list[Segment] = []
        names: list[str] = []
        parts = path[1:].split("/")
        for position, part in enumerate(parts):
            last = position == len(parts) - 1
            segment = _segment(path, part, last)
            if segment.kind in (ONE, REST) and segment.text:
                if segment.text in names:
                    raise Error(f'path "{path}" names {{{segment.text}}} twice', INVALID)
                names.append(segment.text)
            segments.append(segment)
        return cls(method, path, tuple(segments), tuple(names))

    @property
    def literal(self) -> bool:
        """Whether the pattern matches exactly one path, which is written as the pattern is."""
        return all(
            s.kind == LITERAL and s.text == p for s, p in zip(self.segments, self.path[1:].split("/"), strict=True)
        )

    def compare(self, other: Pattern) -> Relation:
        return _compare_methods(self.method, other.method).combined(_compare_paths(self.segments, other.segments))


def _segment(path: str, part: str, last: bool) -> Segment:
    if part == "":
        if last:
            return Segment(REST)  # a path that ends in "/" matches its subtree
        raise Error(f'path "{path}" has an empty part ("//") and could never match', INVALID)
    if part in (".", ".."):
        raise Error(f'path "{path}" contains "{part}" and could never match', INVALID)
    if "{" not in part and "}" not in part:
        return Segment(LITERAL, unescape(part.encode().decode("latin-1")))
    if not (part.startswith("{") and part.endswith("}")):
        raise Error(f'path "{path}": "{part}" mixes text and a parameter: a parameter is a whole part', INVALID)
    name = part[1:-1]
    if name == "$":
        if not last:
            raise Error(f'path "{path}": {{$}} may stand only at the end', INVALID)
        return Segment(END)
    rest = name.endswith("...")
    if rest:
        name = name.removesuffix("...")
        if not last:
            raise Error(f'path "{path}": {{{name}...}} may stand only at the end', INVALID)
    if not _NAME.fullmatch(name):
        raise Error(f'path "{path}": "{name}" is not a parameter name', INVALID)
    return Segment(REST if rest else ONE, name)


def unescape(text: str) -> str:
    """Decode percent escapes in text that holds one character for each byte (latin-1), and returns such text."""
    return unquote_to_bytes(text.encode("latin-1")).decode("latin-1")


def _compare_methods(a: str, b: str) -> Relation:
    if a == b:
        return Relation.EQUAL
    if a == ANY or (a == "GET" and b == "HEAD"):
        return Relation.MORE_GENERAL
    if b == ANY or (b == "GET" and a == "HEAD"):
        return Relation.MORE_SPECIFIC
    return Relation.DISJOINT


def _compare_paths(a: tuple[Segment, ...], b: tuple[Segment, ...]) -> Relation:
    # Without a rest at either end, paths of different lengths have nothing in common.
    if len(a) != len(b) and a[-1].kind != REST and b[-1].kind != REST:
        return Relation.DISJOINT
    relation = Relation.EQUAL
    for one, other in zip(a, b, strict=False):
        if REST in (one.kind, other.kind):
            break
        step = _compare_segments(one, other)
        relation = relation.combined(step)
        if relation is Relation.DISJOINT:
            return relation
    if len(a) == len(b) and a[-1].kind != REST and b[-1].kind != REST:
        return relation
    # What a rest stands against is a part of it, unless that is a rest at the same place.
    if len(a) == len(b) and a[-1].kind == b[-1].kind:
        return relation
    if a[-1].kind == REST and len(a) <= len(b):
        return relation.combined(Relation.MORE_GENERAL)
    if b[-1].kind == REST and len(b) <= len(a):
        return relation.combined(Relation.MORE_SPECIFIC)
    return Relation.DISJOINT  # the one without a rest is shorter than what the other asks for


def _compare_segments(a: Segment, b: Segment) -> Relation:
    if a.kind == b.kind:
        return Relation.EQUAL if a.kind != LITERAL or a.text == b.text else Relation.DISJOINT
    if END in (a.kind, b.kind):
        return Relation.DISJOINT  # nothing but the empty part
    return Relation.MORE_GENERAL if a.kind == ONE else Relation.MORE_SPECIFIC


class Conflicts:
    """Patterns by owner, and which of them a new one would clash with: neither is more specific than the other."""

    def __init__(self) -> None:
        self._patterns: dict[str, Pattern] = {}
        # (position, literal text, or None for any part) -> owners; owners of patterns that end in a rest.
        self._index: dict[tuple[int, str | None], set[str]] = {}
        self._rests: set[str] = set()

    def __len__(self) -> int:
        return len(self._patterns)

    def find(self, pattern: Pattern) -> Iterator[str]:
        """Yield the owners of the patterns that clash with one."""
        for owner in sorted(self._candidates(pattern)):
            if pattern.compare(self._patterns[owner]) in (Relation.EQUAL, Relation.OVERLAPS):
                yield owner

    def add(self, owner: str, pattern: Pattern) -> None:
        self._patterns[owner] = pattern
        for key in self._keys(pattern):
            self._index.setdefault(key, set()).add(owner)
        if pattern.segments[-1].kind == REST:
            self._rests.add(owner)

    def remove(self, owner: str) -> None:
        pattern = self._patterns.pop(owner)
        for key in self._keys(pattern):
            self._index[key].discard(owner)
        self._rests.discard(owner)

    @staticmethod
    def _keys(pattern: Pattern) -> Iterator[tuple[int, str | None]]:
        for position, segment in enumerate(pattern.segments):
            if segment.kind == LITERAL:
                yield position, segment.text
            elif segment.kind == ONE:
                yield position, None

    def _candidates(self, pattern: Pattern) -> Iterable[str]:
        """Return a set that holds every owner whose pattern can have a path in common with this one."""
        best: set[str] | None = None
        for position, segment in enumerate(pattern.segments):
            if segment.kind == LITERAL:
                same = self._index.get((position, segment.text), set())
                found = same | self._index.get((position, None), set()) | self._rests
                if best is None or len(found) < len(best):
                    best = found
        return self._patterns if best is None else best


Value = TypeVar("Value")


class _Node(Generic[Value]):
    __slots__ = ("end", "leaf", "literals", "one", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[Value]] = {}
        self.one: _Node[Value] | None = None
        # Values of patterns that end here: after this part, in `{$}`, in a rest.
        self.leaf: tuple[Pattern, Value] | None = None
        self.end: tuple[Pattern, Value] | None = None
        self.rest: tuple[Pattern, Value] | None = None


Hit = tuple[Pattern, Any, tuple[str, ...]]


class Mux(Generic[Value]):
    """Patterns and their values, matched most specific first. The patterns must not clash."""

    def __init__(self) -> None:
        self._roots: dict[str, _Node[Value]] = {}

    def add(self, pattern: Pattern, value: Value) -> None:
        node = self._roots.setdefault(pattern.method, _Node())
        for segment in pattern.segments:
            if segment.kind == LITERAL:
                node = node.literals.setdefault(segment.text, _Node())
            elif segment.kind == ONE:
                if node.one is None:
                    node.one = _Node()
                node = node.one
            elif segment.kind == END:
                node.end = (pattern, value)
                return
            else:
                node.rest = (pattern, value)
                return
        node.leaf = (pattern, value)

    def match(self, method: str, path: str) -> Hit | None:
        """Return (pattern, value, parameters) for an escaped path that starts with "/".

        Parameters are decoded, one character for each byte (latin-1).
        """
        parts = path[1:].split("/")
        for candidate in (method, "GET", ANY) if method == "HEAD" else (method, ANY):
            root = self._roots.get(candidate)
            if root is not None:
                hit = _search(root, parts, 0, ())
                if hit is not None:
                    return hit
        return None

    def redirect(self, method: str, path: str, hit: Hit | None) -> bool:
        """Tell whether a path is that of a subtree without its last "/"; `hit` is what matches the path as it is."""
        if path.endswith("/") or (hit is not None and hit[0].segments[-1].kind != REST):
            return False
        hit = self.match(method, path + "/")
        return hit is not None and len(hit[0].segments) == path.count("/") + 1

    def allowed(self, path: str) -> list[str]:
        """Return the methods for which the path, with or without a last "/", has a pattern."""
        parts = path[1:].split("/")
        found = set()
        for method, root in self._roots.items():
            if _search(root, parts, 0, ()) or (parts[-1] and _search(root, [*parts, ""], 0, ())):
                found.add(method)
        if "GET" in found:
            found.add("HEAD")
        return sorted(found)


def _search(node: _Node[Any], parts: list[str], at: int, params: tuple[str, ...]) -> Hit | None:
    """Match parts[at:] below a node: a literal before a parameter before a rest, going back where one leads nowhere."""
    if at == len(parts):
        return (*node.leaf, params) if node.leaf else None
    part = parts[at]
    if part == "" and at == len(parts) - 1 and node.end:
        return (*node.end, params)
    text = unescape(part) if "%" in part else part
    child = node.literals.get(text) if text else None
    if child is not None:
        hit = _search(child, parts, at + 1, params)
        if hit is not None:
            return hit
    if node.one is not None and part:
        hit = _search(node.one, parts, at + 1, (*params, text))
        if hit is not None:
            return hit
    if node.rest is not None:
        pattern, value = node.rest
        if pattern.segments[-1].text:
            params = (*params, unescape("/".join(parts[at:])))
        return pattern, value, params
    return None
