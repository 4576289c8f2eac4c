"""`wippy.lock`: where the sources of an application lie and which packages it was resolved with.

Source: manual page `guides/dependency-management`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from wippy.errors import INVALID, Error
from wippy.registry.document import Document

__all__ = ["Lock", "LockedModule", "read_lock"]


class LockedModule(msgspec.Struct, frozen=True):
    """A package that was resolved: `org/module`, its version as written, and the digest of its pack."""

    name: str
    version: str = ""
    hash: str = ""
    root: bool = False


class Lock(msgspec.Struct, frozen=True):
    """The lock file; all paths are absolute."""

    file: str
    sources: list[Path]
    modules_directory: Path
    modules: dict[str, LockedModule] = {}
    replacements: dict[str, Path] = {}
    warnings: list[str] = []


class _Directories(msgspec.Struct):
    modules: str = ".wippy"
    src: str | list[str] = "./src"


class _Replacement(msgspec.Struct):
    name: str = msgspec.field(name="from")
    to: str


class _File(msgspec.Struct):
    directories: _Directories = msgspec.field(default_factory=_Directories)
    modules: list[LockedModule] = []
    replacements: list[_Replacement] = []


def read_lock(path: Path, shown: str = "wippy.lock") -> Lock | None:
    """Return the lock, or None where there is none.

    Raises Error(Invalid) for a file that cannot be read, does not parse, or does not have the documented form.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise Error(f"{shown}: cannot read the file: {problem.strerror}", INVALID) from None
    document = Document(raw, shown)
    value = document.value(document.root)
    try:
        file = msgspec.convert({} if value is None else _without_nulls(value), _File)
    except msgspec.ValidationError as problem:
        message, _, at = str(problem).partition(" - at `$.")
        field = at.rstrip("`")
        line = _line(document, re.split(r"[.\[]", field, maxsplit=1)[0])
        raise Error(f"{shown}{line}: {field or 'the file'}: {message[:1].lower()}{message[1:]}", INVALID) from None
    base = Path(os.path.abspath(path.parent))
    sources = [file.directories.src] if isinstance(file.directories.src, str) else file.directories.src
    warnings = []
    if file.replacements:
        line = _line(document, "replacements")
        warnings.append(f'{shown}{line}: "replacements" belongs into .wippy.yaml, as workspace.replacements')
    return Lock(
        shown,
        [_resolved(base, source) for source in sources],
        _resolved(base, file.directories.modules),
        {module.name: module for module in file.modules},
        {replacement.name: _resolved(base, replacement.to) for replacement in file.replacements},
        warnings,
    )


def _resolved(base: Path, path: str) -> Path:
    return Path(os.path.normpath(base / Path(path).expanduser()))


def _without_nulls(value: Any) -> Any:
    """Leave out keys without a value: `modules:` with nothing behind it means none."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _line(document: Document, key: str) -> str:
    if isinstance(document.root, yaml.MappingNode):
        field = document.fields(document.root).get(key)
        if field is not None:
            return f":{field.line}:{field.column}"
    return ""
