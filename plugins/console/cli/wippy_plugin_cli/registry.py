"""`wippy registry`: the entries of an application that is not running, and their versions.

Source: manual page guides/cli, "wippy registry"; `find`, `history` and `diff` are additions of this runtime.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import click
import msgspec
import yaml

from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.plugin import Plugins
from wippy.registry.change import Op, delta
from wippy.registry.entry import Entry
from wippy.registry.history import MemoryHistory, Version
from wippy.registry.registry import Registry
from wippy.registry.requirements import DEPENDENCY
from wippy.registry.settings import open_history
from wippy.units import parse_scalar
from wippy_plugin_cli.launch import Launch, application_flags, global_flags, lock_file_flag, override_flag, pass_launch
from wippy_plugin_cli.tables import print_table

__all__ = ["registry"]


@click.group()
@global_flags
def registry() -> None:
    """Query and inspect registry entries."""


def _flags(function: Callable[..., None]) -> Callable[..., None]:
    """What every subcommand takes, and the arguments that all of them get."""
    for decorate in (click.pass_obj, pass_launch, global_flags, application_flags, override_flag, lock_file_flag):
        function = decorate(function)
    return function


def _format_flags(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--yaml", "as_yaml", is_flag=True, help="Print YAML.")(function)
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


# Reading --------------------------------------------------------------------------------------------------------------


def _open(launch: Launch, plugins: Plugins) -> tuple[Registry, list[Version]]:
    """Return what the application would boot with, and the versions that its history holds. Nothing comes to life."""
    config = launch.config()
    loaded = launch.load(plugins)
    kept: list[Version] = []
    if _is_stored(launch):
        history = open_history(config, launch.directory)
        try:
            kept = list(history.load())
        finally:
            history.close()
    copy = MemoryHistory()
    for version in kept:
        copy.append(version)
    opened = Registry(listener_of=lambda entry: None, history=copy)
    asyncio.run(opened.boot({entry.id: entry for entry in loaded.entries}))
    return opened, kept


def _is_stored(launch: Launch) -> bool:
    """Tell whether there is a history on disk; asking must not make one."""
    config = launch.config()
    stored = config.get("registry.enable_history") and config.get("registry.history_type") not in ("memory", "nil")
    return bool(stored) and (launch.directory / config.get("registry.history_path")).exists()


# list, find, show -----------------------------------------------------------------------------------------------------


@registry.command("list")
@click.option("-k", "--kind", metavar="GLOB", help="Entries of these kinds.")
@click.option("-n", "--ns", metavar="GLOB", help="Entries of these namespaces.")
@click.option("--name", metavar="GLOB", help="Entries with these names.")
@click.option(
    "--meta", multiple=True, metavar="FIELD=VALUE", help="By metadata; for = also ~ (regex) * (contains) ^ $."
)
@click.option("--registry-meta", is_flag=True, help="With owner and root of each entry; needs --json or --yaml.")
@_format_flags
@_flags
def list_entries(
    plugins: Plugins,
    launch: Launch,
    kind: str | None,
    ns: str | None,
    name: str | None,
    meta: tuple[str, ...],
    registry_meta: bool,
    as_json: bool,
    as_yaml: bool,
) -> None:
    """List entries."""
    if registry_meta and not (as_json or as_yaml):
        raise click.UsageError("--registry-meta needs --json or --yaml")
    query = {f".{field}": glob for field, glob in (("kind", kind), ("ns", ns), ("name", name)) if glob is not None}
    tests = [_meta_test(condition) for condition in meta]
    opened, _ = _open(launch, plugins)
    entries = [entry for entry in opened.find(query) if all(test(entry) for test in tests)]
    packages = [str(e.data.get("component")) for e in opened.find({".kind": DEPENDENCY})] if registry_meta else None
    _print_entries(entries, as_json, as_yaml, packages)


@registry.command()
@click.argument("query", nargs=-1, required=True)
@_format_flags
@_flags
def find(plugins: Plugins, launch: Launch, query: tuple[str, ...], as_json: bool, as_yaml: bool) -> None:
    """Find entries as registry.find does: KEY=VALUE, as in meta.type=test, .kind=function.* or '~meta.path=^/api'."""
    wanted = {}
    for condition in query:
        key, equals, value = condition.partition("=")
        if not equals or not key:
            raise click.UsageError(f'"{condition}": expected KEY=VALUE')
        wanted[key] = value if key[0] in "~*^$." else parse_scalar(value)
    opened, _ = _open(launch, plugins)
    _print_entries(opened.find(wanted), as_json, as_yaml)


@registry.command()
@click.argument("entry_id", metavar="NS:NAME")
@click.option("-f", "--field", metavar="PATH", help="One field: kind, meta.x, or a field of the data.")
@click.option("--raw", is_flag=True, help="Text as it is, without quotes and indentation.")
@_format_flags
@_flags
def show(
    plugins: Plugins, launch: Launch, entry_id: str, field: str | None, raw: bool, as_json: bool, as_yaml: bool
) -> None:
    """Show an entry."""
    opened, _ = _open(launch, plugins)
    entry = opened.get(entry_id)
    value: Any = _record(entry)
    if field is not None:
        value = _field(value, field, entry_id)
    if raw:
        click.echo(value if isinstance(value, str) else msgspec.json.encode(value).decode())
    elif as_json:
        click.echo(_json(value))
    elif as_yaml or isinstance(value, (dict, list)):
        if entry.place and not as_yaml and field is None:
            click.echo(f"# {entry.place.at()}")
        click.echo(_yaml(value), nl=False)
    else:
        click.echo(value)


def _meta_test(condition: str) -> Callable[[Entry], bool]:
    match = re.fullmatch(r"([^=~*^$]+)([=~*^$])(.*)", condition, re.DOTALL)
    if match is None:
        raise click.UsageError(f'--meta "{condition}": expected a field, one of = ~ * ^ $, and a value')
    field, operator, wanted = match.groups()
    if operator == "~":
        try:
            pattern = re.compile(wanted)
        except re.error as problem:
            raise click.UsageError(f'--meta "{condition}": not a regular expression: {problem}') from None
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda text: text == wanted,
        "~": lambda text: pattern.search(text) is not None,
        "*": lambda text: wanted in text,
        "^": lambda text: text.startswith(wanted),
        "$": lambda text: text.endswith(wanted),
    }

    def test(entry: Entry) -> bool:
        value: Any = entry.meta
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        values = value if isinstance(value, list) else [value]
        return any(tests[operator](_text(item)) for item in values if item is not None)

    return test


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _record(entry: Entry) -> dict[str, Any]:
    return {"id": entry.id, "kind": entry.kind, "meta": entry.meta, "data": entry.data}


def _owned(entry: Entry, packages: Iterable[str]) -> dict[str, Any]:
    """Return an entry with the package it comes from; `root` says that it is the application's own."""
    file = entry.place.file if entry.place else ""
    owner = next((package for package in packages if file.startswith(f"{package}/")), "")
    return {**_record(entry), "registry_meta": {"owner": owner, "root": not owner}}


def _field(record: Mapping[str, Any], path: str, entry_id: str) -> Any:
    head = path.partition(".")[0]
    value: Any = record if head in record else record["data"]
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise Error(f'entry "{entry_id}" has no field "{path}"', NOT_FOUND)
        value = value[part]
    return value


def _print_entries(
    entries: Iterable[Entry], as_json: bool, as_yaml: bool, packages: Iterable[str] | None = None
) -> None:
    """Print entries; with `packages` each record says which of them it comes from."""
    if as_json or as_yaml:
        records = [_record(entry) if packages is None else _owned(entry, packages) for entry in entries]
        click.echo(_json(records) if as_json else _yaml(records), nl=as_json)
        return
    rows = [(e.id, e.kind, e.place.at() if e.place else "made at run time") for e in entries]
    print_table(("ID", "KIND", "WHERE"), rows)


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


# history, diff --------------------------------------------------------------------------------------------------------


@registry.command()
@_flags
def history(plugins: Plugins, launch: Launch) -> None:
    """List the versions that are kept on disk."""
    _, versions = _open(launch, plugins)
    _need_versions(versions)
    rows = []
    for version in versions:
        counts = {op: sum(o.op is op for o in version.operations) for op in Op}
        made = datetime.fromtimestamp(version.time).isoformat(" ", "seconds")
        what = "from files" if version.boot else f"after {version.previous}"
        changes = (f"+{counts[Op.CREATE]}", f"~{counts[Op.UPDATE]}", f"-{counts[Op.DELETE]}")
        rows.append((str(version.id), made, what, " ".join(changes)))
    print_table(("VERSION", "MADE", "", "ENTRIES"), rows)


@registry.command()
@click.argument("before", type=int, required=False)
@click.argument("after", type=int, required=False)
@_flags
def diff(plugins: Plugins, launch: Launch, before: int | None, after: int | None) -> None:
    """Show what changed from version BEFORE (by default the last one) to AFTER (by default the next boot)."""
    opened, versions = _open(launch, plugins)
    _need_versions(versions)
    old = opened.state_at(before if before is not None else versions[-1].id)
    new = opened.state_at(after) if after is not None else opened.state
    changes = delta(old, new)
    for operation in sorted(changes, key=lambda o: o.entry.id):
        sign = {Op.CREATE: "+", Op.UPDATE: "~", Op.DELETE: "-"}[operation.op]
        click.echo(f"{sign} {operation.entry.id}  ({operation.entry.kind})")
        if operation.before is not None:
            for line in _changed_fields(operation.before, operation.entry):
                click.echo(f"    {line}")
    if not changes:
        click.echo("no difference")


def _changed_fields(before: Entry, after: Entry) -> Iterable[str]:
    """Yield a line for each field that differs."""
    old, new = _record(before), _record(after)
    for part in ("kind", "meta", "data"):
        if not isinstance(old[part], dict):
            if old[part] != new[part]:
                yield f"{part}: {old[part]} -> {new[part]}"
            continue
        for key in sorted({*old[part], *new[part]}):
            one, other = old[part].get(key), new[part].get(key)
            if one != other:
                yield f"{part}.{key}: {_short(one)} -> {_short(other)}"


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 40 and "\n" not in text else f"({len(text)} characters)"


def _need_versions(versions: list[Version]) -> None:
    if not versions:
        raise Error(
            "no versions are kept: set registry.history_type to sqlite in .wippy.yaml, and run the application", INVALID
        )
