"""YAML documents whose values know their lines.

Scalars follow the YAML 1.2 core schema as Go's yaml.v3 reads it, which definition files are written for: only the
spellings of true and false are booleans, `0o17` and `017` are octal (manual page `system/env` has `file_mode: 0600`),
digits may be grouped with `_`, and timestamps and sexagesimals are plain text.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from wippy.errors import INVALID, Error

__all__ = ["Document", "Field", "parse_plain_scalar"]

if TYPE_CHECKING:
    _Loader = yaml.SafeLoader
else:
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PLAIN = "plain"
_TEXT = "tag:yaml.org,2002:str"
_SEQUENCE = "tag:yaml.org,2002:seq"
_MAPPING = "tag:yaml.org,2002:map"
_BINARY = "tag:yaml.org,2002:binary"
_TYPED = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}

_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OTHER_BASE = re.compile(r"([-+]?)0(?:[xX]([0-9a-fA-F]+)|[bB]([01]+)|[oO]?([0-7]+))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def parse_plain_scalar(text: str) -> Any:
    """Return the value of an unquoted scalar: None, a boolean, an integer, a float, or the text itself."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "0123456789+-.":
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    if _DECIMAL.fullmatch(digits):
        return _sized(digits, 10)
    other = _OTHER_BASE.fullmatch(digits)
    if other:
        sign, hexadecimal, binary, octal = other.groups()
        base = 16 if hexadecimal else 2 if binary else 8
        return _sized(sign + (hexadecimal or binary or octal), base)
    return float(digits) if _FLOAT.fullmatch(digits) else text


def _sized(digits: str, base: int) -> int | float:
    """Return an integer, or a float where 64 bits do not hold it."""
    if len(digits) > 80:  # beyond every base's 64 bits; int() of very long text is quadratic
        return float(digits) if base == 10 else float("inf")
    number = int(digits, base)
    return number if -(2**63) <= number < 2**64 else float(number)


_UNFINISHED = object()
#: Values that the aliases of one document may stand for; a few nested aliases can otherwise exhaust the memory.
_LARGEST = 5_000_000


class _Composer(_Loader):
    """A loader that leaves plain scalars to `parse_plain_scalar`."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _SEQUENCE if kind is yaml.SequenceNode else _MAPPING


class Field(msgspec.Struct, frozen=True):
    """One key of a mapping: the line and column of the key, counted from 1, and the node of its value."""

    line: int
    column: int
    node: Any


class Document:
    """The first document of a YAML text.

    Raises Error(Invalid) with `file:line:column` for text that does not parse.
    """

    def __init__(self, text: bytes | str, file: str) -> None:
        self.file = file
        #: Whether more documents follow, which nothing reads.
        self.more = False
        self._made: dict[int, tuple[Any, int]] = {}  # collections by node, with how many values each holds
        self._size = 0
        try:
            loader = _Composer(text)
        except yaml.YAMLError as problem:
            raise self._syntax(problem, text) from None
        try:
            self.root: yaml.Node | None = loader.get_node() if loader.check_node() else None
        except (yaml.YAMLError, RecursionError) as problem:
            raise self._syntax(problem, text) from None
        else:
            self.more = self._has_more(loader)
        finally:
            loader.dispose()

    @staticmethod
    def _has_more(loader: yaml.SafeLoader) -> bool:
        try:
            return loader.check_node()
        except yaml.YAMLError:
            return True

    def _syntax(self, problem: Exception, text: bytes | str) -> Error:
        mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
        if mark is not None:
            cause = getattr(problem, "problem", None) or getattr(problem, "context", None) or "syntax error"
            return Error(f"{self.file}:{mark.line + 1}:{mark.column + 1}: YAML does not parse: {cause}", INVALID)
        if isinstance(problem, RecursionError):
            return Error(f"{self.file}: YAML does not parse: nested too deeply", INVALID)
        position = getattr(problem, "position", None) or 0
        before = text[:position]
        newline: Any = b"\n" if isinstance(before, bytes) else "\n"
        column = position - before.rfind(newline)
        reason = getattr(problem, "reason", None) or str(problem)
        return Error(f"{self.file}:{before.count(newline) + 1}:{column}: YAML does not parse: {reason}", INVALID)

    def at(self, node: yaml.Node) -> str:
        """Return `file:line:column` of a node."""
        return f"{self.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def value(self, node: yaml.Node | None) -> Any:
        """Return what a node stands for: None, bool, int, float, str, bytes, lists and string-keyed dicts of these.

        Raises Error(Invalid) for a duplicate key, a key that is not a scalar, an alias inside its own value, aliases
        that expand without bounds, and a tagged scalar that is not of its tag's type.
        """
        if node is None:
            return None
        try:
            return self._value(node)
        except RecursionError:
            raise Error(f"{self.at(node)}: nested too deeply", INVALID) from None

    def _value(self, node: yaml.Node) -> Any:
        self._size += 1
        if isinstance(node, yaml.ScalarNode):
            if node.tag == _PLAIN:
                return parse_plain_scalar(node.value)
            return node.value if node.tag == _TEXT else self._tagged(node)
        key = id(node)
        if key in self._made:
            made, size = self._made[key]
            if made is _UNFINISHED:
                raise Error(f"{self.at(node)}: an alias stands inside the value it refers to", INVALID)
            self._size += size
            if self._size > _LARGEST:
                raise Error(f"{self.file}: aliases expand to over {_LARGEST} values", INVALID)
            return made
        self._made[key] = _UNFINISHED, 0
        before = self._size
        if isinstance(node, yaml.SequenceNode):
            made = [self._value(item) for item in node.value]
        else:
            made = {name: self._value(field.node) for name, field in self.fields(node).items()}
        self._made[key] = made, self._size - before
        return made

    def _tagged(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag in _TYPED:
            value = parse_plain_scalar(text)
            if not isinstance(value, str):
                return float(value) if node.tag.endswith("float") and value is not None else value
            raise Error(f'{self.at(node)}: "{text}" is not a {node.tag.rpartition(":")[2]}', INVALID)
        if node.tag == _BINARY:
            try:
                return base64.b64decode("".join(text.split()), validate=True)
            except binascii.Error:
                raise Error(f"{self.at(node)}: !!binary needs base64", INVALID) from None
        return text  # timestamps, and tags of the author's own

    def fields(self, node: yaml.Node) -> dict[str, Field]:
        """Return the keys of a mapping, merge keys (`<<`) flattened: what the mapping says itself wins.

        Raises Error(Invalid) as `value` does, and for a merge of something that is not a mapping.
        """
        own: dict[str, Field] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Error(f"{self.at(key)}: a key must be text, not a list or a mapping", INVALID)
            if key.tag == _PLAIN and key.value == "<<":
                merged.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
                continue
            if key.value in own:
                raise Error(f'{self.at(key)}: key "{key.value}" stands on line {own[key.value].line} already', INVALID)
            own[key.value] = Field(key.start_mark.line + 1, key.start_mark.column + 1, value)
        for source in merged:
            if not isinstance(source, yaml.MappingNode):
                raise Error(f"{self.at(source)}: << merges mappings only", INVALID)
            for name, field in self.fields(source).items():
                own.setdefault(name, field)
        return own
