"""Definition files: every YAML and JSON file under a directory becomes entries with their places.

Sources: the YAML row of the reference's semantics table; manual page `start/structure`.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from wippy.errors import INVALID, Error
from wippy.registry.document import Document, Field
from wippy.registry.entry import Entry, Place

__all__ = ["Source", "duplicates", "read_source"]

_SUFFIXES = (".yaml", ".yml", ".json")
_FILE_KEYS = ("version", "namespace", "meta", "entries")
_ENTRY_KEYS = ("name", "kind", "meta", "data")
_SCHEME = "file://"


class Source(msgspec.Struct):
    """What the files of a directory say, what is doubtful in them (warnings), and what is wrong (problems)."""

    entries: list[Entry] = []
    warnings: list[str] = []
    problems: list[str] = []


def read_source(
    root: Path, shown: str = "", excluded: Collection[Path] = (), ignore: Callable[[str], bool] | None = None
) -> Source:
    """Read every definition file under `root`, in sorted order; node_modules and hidden directories are skipped.

    `shown` is what paths shown to users start with instead of `root`. Directories in `excluded` are skipped, as are
    files whose path relative to `root` (with `/`) `ignore` accepts. Never raises for what stands in the files: problems
    are collected, each with its place.
    """
    source = Source()
    texts = _Texts(root, shown)
    for path in _definition_files(root, excluded):
        relative = path.relative_to(root).as_posix()
        if ignore is None or not ignore(relative):
            try:
                _Reader(path, _joined(shown, relative), texts, source).read()
            except Error as problem:
                source.problems.append(problem.message)
    source.problems.extend(duplicates(source.entries))
    return source


def duplicates(entries: Iterable[Entry]) -> list[str]:
    """Return one message for every entry whose id an earlier entry has, naming both places."""
    first: dict[str, Entry] = {}
    problems = []
    for entry in entries:
        other = first.setdefault(entry.id, entry)
        if other is not entry:
            here = entry.place.at() if entry.place else entry.id
            there = other.place.at() if other.place else other.id
            problems.append(f'{here}: entry "{entry.id}" is defined already at {there}')
    return problems


def _joined(shown: str, relative: str) -> str:
    return relative if shown in ("", ".") else f"{shown}/{relative}"


def _definition_files(root: Path, excluded: Collection[Path]) -> Iterable[Path]:
    skipped = {os.path.realpath(path) for path in excluded}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in ("node_modules", "__pycache__")
            and (not skipped or os.path.realpath(os.path.join(folder, name)) not in skipped)
        )
        for name in sorted(files):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)


class _Texts:
    """The files that `file://` names, under one source root."""

    def __init__(self, root: Path, shown: str) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._shown = shown
        self._read: dict[str, str | bytes] = {}

    def get(self, reference: str, folder: Path) -> tuple[str | bytes, str]:
        """Return the content and the shown path of a reference in a file that lies in `folder`.

        Text is UTF-8; anything else (WebAssembly) comes as bytes. Raises Error(Invalid) with the cause alone.
        """
        target = reference[len(_SCHEME) :]
        path = os.path.normpath(self._root / target.lstrip("/") if target.startswith("/") else folder / target)
        shown = _joined(self._shown, Path(os.path.relpath(path, self._root)).as_posix())
        real = os.path.realpath(path)
        if os.path.commonpath((real, self._real_root)) != self._real_root:
            raise Error(f"{reference} lies outside the source directory {self._shown or '.'}", INVALID)
        if path not in self._read:
            try:
                raw = Path(real).read_bytes()
            except FileNotFoundError:
                raise Error(f"{reference}: there is no file {shown}", INVALID) from None
            except OSError as problem:
                raise Error(f"{reference}: cannot read {shown}: {problem.strerror}", INVALID) from None
            try:
                self._read[path] = raw.decode("utf-8-sig")
            except UnicodeDecodeError:
                self._read[path] = raw
        return self._read[path], shown


class _Reader:
    """One definition file."""

    def __init__(self, path: Path, shown: str, texts: _Texts, source: Source) -> None:
        self._path = path
        self._file = shown
        self._texts = texts
        self._source = source

    def read(self) -> None:
        """Add the file's entries. Raises Error(Invalid) for what makes the whole file useless."""
        try:
            raw = self._path.read_bytes()
        except OSError as problem:
            raise Error(f"{self._file}: cannot read the file: {problem.strerror}", INVALID) from None
        document = self._json(raw) if self._path.suffix == ".json" else Document(raw, self._file)
        if document is None or not isinstance(document.root, yaml.MappingNode):
            return
        self._document = document
        head = document.fields(document.root)
        if "namespace" not in head:
            return
        namespace = document.value(head["namespace"].node)
        if not isinstance(namespace, str) or not namespace or ":" in namespace or _unfit(namespace):
            raise Error(
                f"{self._at(head['namespace'])}: namespace {namespace!r} must be text such as app.api, without spaces "
                "and colons",
                INVALID,
            )
        if document.more:
            self._warn(f"{self._file}: only the first document of the file is read")
        if "entries" not in head and "name" in head and "kind" in head:
            entry = {name: field for name, field in head.items() if name not in ("version", "namespace")}
            self._add(namespace, head["name"].line, entry, {}, self._at(head["name"]))
        else:
            self._check_keys(head)
            self._add_all(namespace, head)

    def _json(self, raw: bytes) -> Document | None:
        """Return a JSON file as a document.

        Files that cannot be definitions are only checked, since the JSON decoder is many times faster. YAML is nearly a
        superset of JSON; what it cannot read (surrogate pairs, tabs) is rewritten first, which costs the line numbers.
        """
        try:
            if b'"namespace"' not in raw:
                msgspec.json.decode(raw)
                return None
            return Document(raw, self._file)
        except (msgspec.DecodeError, Error):
            try:
                value = json.loads(raw)
            except json.JSONDecodeError as problem:
                at = f"{self._file}:{problem.lineno}:{problem.colno}"
                raise Error(f"{at}: JSON does not parse: {problem.msg}", INVALID) from None
            except (UnicodeDecodeError, RecursionError) as problem:
                raise Error(f"{self._file}: JSON does not parse: {problem}", INVALID) from None
            return Document(json.dumps(value, ensure_ascii=False), self._file)

    def _at(self, field: Field) -> str:
        return f"{self._file}:{field.line}:{field.column}"

    def _warn(self, message: str) -> None:
        self._source.warnings.append(message)

    def _check_keys(self, head: dict[str, Field]) -> None:
        unknown = [name for name in head if name not in _FILE_KEYS]
        for name in unknown:
            hint = _suggestion(name, _FILE_KEYS)
            # Without entries the file may be another tool's: only what looks like a misspelling is worth a word.
            if hint or "entries" in head:
                self._warn(f'{self._at(head[name])}: unknown key "{name}"{hint}')
        if "entries" not in head:
            self._warn(f'{self._file}: has a namespace but no "entries": nothing is defined here')

    def _add_all(self, namespace: str, head: dict[str, Field]) -> None:
        meta = self._mapping(head, "meta")
        listed = head.get("entries")
        if listed is None:
            return
        if not isinstance(listed.node, yaml.SequenceNode):
            if isinstance(listed.node, yaml.ScalarNode) and self._document.value(listed.node) is None:
                return  # `entries:` with nothing behind it
            raise Error(f'{self._at(listed)}: "entries" must be a list of entries', INVALID)
        for node in listed.node.value:
            at = self._document.at(node)
            if not isinstance(node, yaml.MappingNode):
                self._source.problems.append(f"{at}: an entry must be a mapping with name and kind")
                continue
            try:
                self._add(namespace, node.start_mark.line + 1, self._document.fields(node), meta, at)
            except Error as problem:
                self._source.problems.append(problem.message)

    def _add(self, namespace: str, line: int, fields: dict[str, Field], file_meta: dict[str, Any], at: str) -> None:
        name = self._text(fields, "name", "an entry", at)
        entry_id = f"{namespace}:{name}"
        if _unfit(name):
            at = self._at(fields["name"])
            raise Error(f"{at}: entry name {name!r} may not hold spaces or control characters", INVALID)
        kind = self._text(fields, "kind", f'entry "{entry_id}"', at)
        meta = {**file_meta, **self._mapping(fields, "meta")}
        data = {key: field for key, field in fields.items() if key not in ("name", "kind", "meta")}
        lines = {key: field.line for key, field in fields.items()}
        if "data" in data and isinstance(data["data"].node, yaml.MappingNode):
            others = [key for key in data if key != "data"]
            if others:
                self._warn(f'{self._at(data[others[0]])}: entry "{entry_id}" has "data", so "{others[0]}" is ignored')
            data = self._document.fields(data["data"].node)
            lines = {**{key: field.line for key, field in data.items()}, **lines}
        sources: dict[str, str] = {}
        values = {key: self._document.value(field.node) for key, field in data.items()}
        for key, value in values.items():
            values[key] = self._with_files(value, key, entry_id, f"{self._file}:{lines[key]}", sources)
        self._source.entries.append(Entry(entry_id, kind, meta, values, Place(self._file, line, lines, sources)))

    def _text(self, fields: dict[str, Field], key: str, what: str, at: str) -> str:
        field = fields.get(key)
        if field is None:
            close = next((k for k in fields if k not in _ENTRY_KEYS and _suggestion(k, (key,))), None)
            hint = f', but "{close}": is that a misspelling?' if close else ""
            raise Error(f"{at}: {what} has no {key}{hint}", INVALID)
        value = self._document.value(field.node)
        # A name like 404 is a number to YAML; what was written is meant.
        text = field.node.value if isinstance(field.node, yaml.ScalarNode) and value is not None else None
        if not text or not isinstance(text, str):
            raise Error(f"{self._at(field)}: {what} needs a {key} that is text, got {value!r}", INVALID)
        return text

    def _mapping(self, fields: dict[str, Field], key: str) -> dict[str, Any]:
        field = fields.get(key)
        value = self._document.value(field.node) if field else None
        if field is None or value is None:
            return {}
        if not isinstance(value, dict):
            raise Error(f'{self._at(field)}: "{key}" must be a mapping', INVALID)
        return value

    def _with_files(self, value: Any, path: str, entry_id: str, at: str, sources: dict[str, str]) -> Any:
        """Return `value` with every `file://` reference in it replaced; what holds none comes back as it is."""
        if isinstance(value, str):
            if not value.startswith(_SCHEME):
                return value
            try:
                text, sources[path] = self._texts.get(value, self._path.parent)
            except Error as problem:
                raise Error(f'{at}: entry "{entry_id}", field "{path}": {problem.message}', INVALID) from None
            return text
        if isinstance(value, dict):
            return {k: self._with_files(v, f"{path}.{k}", entry_id, at, sources) for k, v in value.items()}
        if isinstance(value, list):
            return [self._with_files(v, f"{path}[{i}]", entry_id, at, sources) for i, v in enumerate(value)]
        return value


def _unfit(part: str) -> bool:
    return not part.isprintable() or any(character.isspace() for character in part)


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f', did you mean "{close[0]}"?' if close else ""
