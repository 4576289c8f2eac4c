"""`wippy test`: run an application's tests (manual page guides/cli, "wippy test")."""

from __future__ import annotations

import click

from wippy.plugin import Plugins
from wippy_plugin_cli.entrypoints import commands_of, test_command
from wippy_plugin_cli.launch import Launch, application_flags, global_flags, override_flag, pass_launch
from wippy_plugin_cli.run import launch_command

__all__ = ["test"]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("directory", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--host", metavar="NS:ENTRY", help="The terminal host, where there are several.")
@override_flag
@application_flags
@global_flags
@pass_launch
@click.pass_obj
def test(plugins: Plugins, launch: Launch, directory: str | None, arguments: tuple[str, ...], host: str | None) -> None:
    """Run an application's tests: its process with `command.use_case: test`.

    Where there is none, the command with the name `test` runs. ARGUMENTS go to the process; the exit code is its own.
    """
    launch.choose(directory)
    command = test_command(commands_of(launch.load(plugins).entries))
    launch_command(plugins, launch, command, arguments, host)
