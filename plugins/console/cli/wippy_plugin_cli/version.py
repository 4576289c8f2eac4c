"""`wippy version`."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from wippy_plugin_cli.launch import global_flags

__all__ = ["version"]

KERNEL = "wippy-kernel"


@click.command()
@click.option("--short", is_flag=True, help="The version alone.")
@global_flags
def version(short: bool) -> None:
    """Print version information."""
    number = metadata.version(KERNEL)
    if short:
        click.echo(number)
        return
    click.echo(f"wippy {number}")
    click.echo(
        f"Lua 5.4 through lupa {metadata.version('lupa')}, Python {platform.python_version()}, {platform.platform()}"
    )
