"""`wippy run`: start an application, or one of its commands (manual page guides/cli, "wippy run")."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from pathlib import Path

import click

from wippy.app import App
from wippy.config import Config
from wippy.errors import NOT_FOUND, Error
from wippy.plugin import Plugins
from wippy_plugin_cli.announce import announcement
from wippy_plugin_cli.entrypoints import LIST, Command, commands_of, default_command, find_command, listing
from wippy_plugin_cli.launch import Launch, application_flags, global_flags, override_flag, pass_launch
from wippy_plugin_cli.logs import console_logging
from wippy_plugin_cli.runtime import run_application
from wippy_plugin_cli.terminal import execute

__all__ = ["launch_command", "run"]

log = logging.getLogger("wippy")

_MARKS = ("wippy.lock", ".wippy.yaml", "src/_index.yaml")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[DIRECTORY] [list | NAME [ARGUMENTS]...]")
@click.option("-x", "--exec", "process", metavar="NS:ENTRY", help="Run one process on the terminal and exit.")
@click.option("--host", metavar="NS:ENTRY", help="The terminal host, where there are several.")
@override_flag
@application_flags
@global_flags
@pass_launch
@click.pass_obj
def run(plugins: Plugins, launch: Launch, words: tuple[str, ...], process: str | None, host: str | None) -> None:
    """Start an application, or one of its commands.

    DIRECTORY is the application's, by default the current one. `list` shows its commands; NAME runs one with
    ARGUMENTS. Flags of wippy may stand anywhere; what stands behind `--` goes to the command.
    """
    words = _take_directory(launch, words)
    if words and process is None:
        if words[0].startswith("-"):
            raise click.NoSuchOption(words[0])
        if words == (LIST,):
            click.echo(listing(commands_of(launch.load(plugins).entries)))
            return
        command = find_command(commands_of(launch.load(plugins).entries), words[0])
        launch_command(plugins, launch, command, words[1:], host)
    elif process is not None:
        launch_command(plugins, launch, Command(process, ""), words, host)
    else:
        _start(plugins, launch, host)


def _take_directory(launch: Launch, words: tuple[str, ...]) -> tuple[str, ...]:
    """Choose the directory that the first word names, if it names one, and return the other words."""
    if not words:
        return ()
    word = words[0]
    path = Path(word)
    if word.endswith(".wapp") or path.is_dir():
        if word in (".", "..") or os.sep in word or any((path / mark).exists() for mark in _MARKS) or not path.is_dir():
            launch.choose(word)
            return words[1:]
    elif "/" in word:
        raise Error(
            f"{word}: there is no such directory; packages are installed with pip, and an application uses them through "
            "entries of kind ns.dependency",
            NOT_FOUND,
        )
    return words


def launch_command(plugins: Plugins, launch: Launch, command: Command, args: tuple[str, ...], host: str | None) -> None:
    """Boot the application, run a command on the terminal, and end the program with its exit code."""
    config = _configured(launch)
    with console_logging(launch, config, quiet=True) as console:
        _say_without_effect(launch)

        async def work(app: App) -> int:
            return await execute(app, command.entry, args, host=host, security=command.security, console=console)

        code = run_application(partial(_application, plugins, launch, config), work)
    sys.exit(code)


def _start(plugins: Plugins, launch: Launch, host: str | None) -> None:
    config = _configured(launch)
    with console_logging(launch, config) as console:
        _say_without_effect(launch)

        async def work(app: App) -> int:
            command = default_command(commands_of(app.registry.state.values()))
            if command is not None:
                return await execute(app, command.entry, (), host=host, security=command.security, console=console)
            return await _serve(app, silent=launch.silent)

        code = run_application(partial(_application, plugins, launch, config), work)
    sys.exit(code)


async def _serve(app: App, *, silent: bool) -> int:
    """Say where the application is and wait for the signal that ends it."""
    if not len(app.registry):
        raise Error(f"{app.directory}: there is nothing to run: `wippy init NAME` makes an application", NOT_FOUND)
    log.info("runtime ready")
    if not silent:
        click.echo(announcement(app))
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        log.info("shutting down; a second signal ends at once")
    return 0


def _configured(launch: Launch) -> Config:
    if not launch.directory.is_dir():
        raise Error(f"{launch.directory}: there is no such directory", NOT_FOUND)
    return launch.config()


def _application(plugins: Plugins, launch: Launch, config: Config) -> App:
    return App(launch.directory, config=config, overrides=launch.overrides, plugins=plugins)


def _say_without_effect(launch: Launch) -> None:
    for note in launch.without_effect():
        log.warning("%s", note)
