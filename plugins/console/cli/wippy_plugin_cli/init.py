"""`wippy init`: wippy.lock, and a new application where a name is given (manual page guides/cli, "wippy init")."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import click
import yaml

from wippy.errors import ALREADY_EXISTS, INVALID, Error
from wippy.registry.lock import read_lock
from wippy_plugin_cli.launch import global_flags

__all__ = ["init"]

SOURCES = "./src"
MODULES = ".wippy"
LOCK = "wippy.lock"


@click.command()
@click.argument("directory", required=False)
@click.option("-d", "--src-dir", metavar="DIR", help=f"Where the sources lie.  [default: {SOURCES}]")
@click.option("--modules-dir", metavar="DIR", help=f"Where unpacked packages lie.  [default: {MODULES}]")
@click.option("-l", "--lock-file", default=LOCK, metavar="FILE", help="The file to write.", show_default=True)
@global_flags
def init(directory: str | None, src_dir: str | None, modules_dir: str | None, lock_file: str) -> None:
    """Create wippy.lock, or change its directories.

    With DIRECTORY a small application is made there too: a function behind an HTTP endpoint.
    """
    lock = Path(directory or ".") / lock_file
    if directory is not None:
        _refuse_what_is_there(Path(directory), src_dir or SOURCES)
        lock.parent.mkdir(parents=True, exist_ok=True)
    sources = _write_lock(lock, src_dir, modules_dir)
    if directory is None:
        return
    template = resources.files("wippy_plugin_cli") / "template"
    for name in ("_index.yaml", "hello.lua"):
        (sources / name).write_text((template / name).read_text(encoding="utf-8"), encoding="utf-8")
    click.echo(f"{directory} is an application now: cd {directory} && wippy run")


def _refuse_what_is_there(directory: Path, sources: str) -> None:
    found = directory / sources
    if directory.exists() and not directory.is_dir():
        raise Error(f"{directory} is a file", ALREADY_EXISTS)
    if found.is_dir() and any(found.iterdir()):
        raise Error(f"{found} has files already: run `wippy init` without a name inside {directory}", ALREADY_EXISTS)


def _write_lock(lock: Path, src_dir: str | None, modules_dir: str | None) -> Path:
    """Write the lock, make the directories it names, and return that of the sources.

    What stands in the lock stays, apart from what the flags say. Raises Error(Invalid) for a lock that is broken.
    """
    existed = read_lock(lock, str(lock)) is not None
    content = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}) if existed else {}
    directories = content.get("directories") or {}
    wanted = {
        "modules": modules_dir or directories.get("modules") or MODULES,
        "src": src_dir or directories.get("src") or SOURCES,
    }
    if directories != wanted:
        _write(lock, yaml.safe_dump({**content, "directories": wanted}, sort_keys=False))
        click.echo(f"{lock} {'updated' if existed else 'created'}")
    else:
        click.echo(f"{lock} is as it should be")
    sources = wanted["src"] if isinstance(wanted["src"], list) else [wanted["src"]]
    for name in (wanted["modules"], *sources):
        (lock.parent / name).mkdir(parents=True, exist_ok=True)
    return lock.parent / sources[0]


def _write(lock: Path, text: str) -> None:
    """Replace the file in one step, so that it is never half written."""
    draft = lock.with_name(f"{lock.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, lock)
    except OSError as problem:
        raise Error(f"{lock}: cannot be written: {problem.strerror}", INVALID) from None
