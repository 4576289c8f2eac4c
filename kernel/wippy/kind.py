"""Kinds: what a plugin does with the entries of one kind, and how an entry's data becomes a typed configuration."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import msgspec

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry, qualify
from wippy.units import parse_duration, parse_size

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["Duration", "Kind", "Ref", "Size", "decode_config", "named_references", "references"]


class Ref(str):
    """The id of another entry; a bare name in the data means the same namespace. References order a change."""

    __slots__ = ()


class Duration(float):
    """Seconds, from "1h30m", "500ms", or a number of seconds."""

    __slots__ = ()


class Size(int):
    """Bytes, from "512M" or a number."""

    __slots__ = ()


ConfigType = TypeVar("ConfigType", bound=msgspec.Struct)


class Kind(Generic[ConfigType]):
    """One entry kind in one App. Subclasses set `config` and override `add` and `delete`, and `update` where an entry
    can change without going away. Raising from any of them rejects the whole registry change.
    """

    #: The typed form of the entry's data. Fields of type Ref are references, Duration and Size are parsed.
    config: ClassVar[type[msgspec.Struct]] = msgspec.defstruct("NoConfig", [])
    #: Fields that may stand in `meta` instead of the data (`meta.router`, `meta.server`).
    meta_fields: ClassVar[tuple[str, ...]] = ()
    #: Entries of such a kind are created before, and deleted after, all others (the environment that others read).
    foundation: ClassVar[bool] = False
    #: Whether unknown fields are part of the data rather than a likely spelling mistake.
    open_data: ClassVar[bool] = False

    def __init__(self, app: App) -> None:
        self.app = app

    async def add(self, entry: Entry, config: ConfigType) -> None:
        """Make the entry work."""

    async def update(self, entry: Entry, config: ConfigType, before: Entry) -> None:
        """Replace an entry; by default it goes and comes again."""
        await self.delete(before)
        await self.add(entry, config)

    async def delete(self, entry: Entry) -> None:
        """Undo `add`."""

    def committed(self) -> None:
        """Take note that a change which touched entries of this kind was accepted as a whole; must not raise.

        Called once a change, in the same turn of the event loop in which the registry and functions change: what is
        swapped here changes together with them.
        """

    def needs(self, entry: Entry) -> Iterable[str]:
        """Return the ids that must exist before this entry. By default all references in its configuration."""
        try:
            return references(decode_config(entry, self.config, self.meta_fields))
        except Error:
            return ()  # `accept` reports what is wrong, with its place


def decode_config(
    entry: Entry,
    config: type[ConfigType],
    meta_fields: tuple[str, ...] = (),
    warn: Callable[[str], None] | None = None,
    open_data: bool = True,
) -> ConfigType:
    """Return the typed configuration of an entry.

    Raises Error(Invalid) naming id, place and field. Unknown fields go to `warn`, unless the kind's data is open.
    """
    # A field left empty in YAML is null: the same as absent.
    data = {field: value for field, value in entry.data.items() if value is not None}
    for field in meta_fields:
        if field not in data and field in entry.meta:
            data[field] = entry.meta[field]
    namespace = entry.namespace

    def convert(wanted: type, value: Any) -> Any:
        if wanted is Ref:
            if not isinstance(value, str) or not value:
                raise ValueError(f"expected an entry id, got {value!r}")
            return Ref(qualify(value, namespace))
        try:
            if wanted is Duration:
                return Duration(parse_duration(value))
            if wanted is Size:
                return Size(parse_size(value))
        except Error as problem:
            raise ValueError(str(problem)) from None  # msgspec adds the path to a ValueError
        raise NotImplementedError(wanted)

    try:
        decoded = msgspec.convert(data, config, strict=False, dec_hook=convert)
    except (msgspec.ValidationError, ValueError) as problem:
        message, top_field = _explain(str(problem))
        raise Error(f"{entry.where(top_field)}: {message}", INVALID) from None
    if warn and not open_data:
        for path, suggestion in _unknown(data, config):
            hint = f', did you mean "{suggestion}"?' if suggestion else ""
            warn(f'{entry.where(path.split(".")[0])}: unknown field "{path}"{hint}')
    return decoded


def _explain(message: str) -> tuple[str, str | None]:
    """Turn msgspec's "... - at `$.a.b`" into our words; returns the top-level field for the line number."""
    text, marker, path = message.partition(" - at `$")
    if not marker:
        return message[:1].lower() + message[1:], None
    field = path.rstrip("`").lstrip(".")
    return f"field `{field}`: {text[:1].lower() + text[1:]}", field.split(".")[0].split("[")[0] or None


def _unknown(data: Any, config: Any, prefix: str = "") -> Iterable[tuple[str, str | None]]:
    struct = _struct_of(config)
    if struct is None or not isinstance(data, dict):
        return
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(struct)}
    for key, value in data.items():
        if key in fields:
            yield from _unknown(value, fields[key], f"{prefix}{key}.")
        else:
            close = difflib.get_close_matches(str(key), fields, 1)
            yield f"{prefix}{key}", close[0] if close else None


def _struct_of(annotation: Any) -> type[msgspec.Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for option in typing.get_args(annotation):
            struct = _struct_of(option)
            if struct is not None:
                return struct
    return None


def named_references(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """Yield (field path, id) for every Ref inside a decoded configuration."""
    if isinstance(value, Ref):
        yield path, str(value)
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(type(value)):
            yield from named_references(getattr(value, field.name), _join(path, field.encode_name))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from named_references(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from named_references(item, _join(path, str(key)))


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def references(value: Any) -> Iterable[str]:
    """Yield every Ref inside a decoded configuration."""
    return (target for _, target in named_references(value))
