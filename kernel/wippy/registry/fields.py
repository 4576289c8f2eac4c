"""Setting one field of an entry by a dotted path, as overrides and requirements do."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry

__all__ = ["parse_path", "with_field"]

Segment = str | int
_SEGMENT = re.compile(
    r"""\.?(?:\[(?P<index>[0-9]+)\]|\[(?P<quote>["'])(?P<quoted>.*?)(?P=quote)\]|(?P<name>[^.\[\]]+))"""
)


def parse_path(text: str) -> tuple[list[Segment], bool]:
    """Return the segments of a path and whether it appends: `.a.b`, `a.b[0].c`, `a["b.c"]`, `.a +=`.

    A leading `$` or dot is optional (manual page `guides/components`). Raises Error(Invalid).
    """
    path = text.strip()
    append = path.endswith("+=")
    path = path.removesuffix("+=").rstrip().removeprefix("$")
    segments: list[Segment] = []
    position = 0
    while position < len(path):
        match = _SEGMENT.match(path, position)
        if match is None:
            break
        position = match.end()
        if match["index"] is not None:
            segments.append(int(match["index"]))
        else:
            segments.append(match["quoted"] if match["quoted"] is not None else match["name"])
    if position < len(path) or not segments:
        raise Error(f'"{text}" is not a field path: expected text like ".meta.router" or ".middleware +="', INVALID)
    return segments, append


def with_field(entry: Entry, segments: list[Segment], value: Any, append: bool = False) -> Entry:
    """Return the entry with one field set, or with `value` appended to the list that the field is.

    `kind` alone is the entry's kind, `meta.x` a field of the metadata, `data.x` or any other path a field of the data
    (manual page `guides/entry-kinds`, "Overriding Entries"). Raises Error(Invalid) where the path does not fit.
    """
    head, *rest = segments
    if head == "kind" and not rest:
        if not isinstance(value, str) or not value:
            raise Error(f"kind must be text, got {value!r}", INVALID)
        return msgspec.structs.replace(entry, kind=value)
    if head in ("meta", "data") and not rest:
        if not isinstance(value, dict) or append:
            raise Error(f"{head} as a whole takes a mapping, got {value!r}", INVALID)
        return msgspec.structs.replace(entry, **{head: value})
    if head == "meta":
        return msgspec.structs.replace(entry, meta=_assigned(entry.meta, rest, value, append, "meta"))
    inside = rest if head == "data" else segments
    data = _assigned(entry.data, inside, value, append, "")
    place = entry.place
    if place and place.sources:
        gone = str(inside[0])
        kept = {path: file for path, file in place.sources.items() if re.split(r"[.\[]", path, maxsplit=1)[0] != gone}
        place = msgspec.structs.replace(place, sources=kept)
    return msgspec.structs.replace(entry, data=data, place=place)


def _assigned(container: Any, segments: list[Segment], value: Any, append: bool, at: str) -> Any:
    """Return a copy of `container` that differs in one place; a missing mapping on the way is made."""
    if isinstance(container, list):
        return _assigned_in_list(container, segments, value, append, at)
    if container is None:
        container = {}
    if not isinstance(container, dict):
        raise Error(f'field "{at}" is {container!r}, which holds no fields', INVALID)
    key, taken = _key(container, segments)
    path = f"{at}.{key}" if at else key
    rest = segments[taken:]
    old = container.get(key)
    changed = _assigned(old, rest, value, append, path) if rest else _final(old, value, append, path)
    return {**container, key: changed}


def _assigned_in_list(items: list[Any], segments: list[Segment], value: Any, append: bool, at: str) -> list[Any]:
    head, *rest = segments
    index = head if isinstance(head, int) else int(head) if head.isdecimal() else -1
    if not 0 <= index < len(items):
        raise Error(f'list "{at}" of {len(items)} has no item "{head}"', INVALID)
    path = f"{at}[{index}]"
    old = items[index]
    changed = _assigned(old, rest, value, append, path) if rest else _final(old, value, append, path)
    return [*items[:index], changed, *items[index + 1 :]]


def _key(container: dict[str, Any], segments: list[Segment]) -> tuple[str, int]:
    """Return the key to follow and how many segments it takes: a key with dots that exists wins over nesting, so that
    `options.cors.allow.origins` finds the option of that name.
    """
    for length in range(len(segments), 1, -1):
        joined = ".".join(str(segment) for segment in segments[:length])
        if joined in container:
            return joined, length
    return str(segments[0]), 1


def _final(before: Any, value: Any, append: bool, path: str) -> Any:
    if not append:
        return value
    if before is not None and not isinstance(before, list):
        raise Error(f'cannot append to "{path}": it is {before!r}, not a list', INVALID)
    return [*(before or []), value]
