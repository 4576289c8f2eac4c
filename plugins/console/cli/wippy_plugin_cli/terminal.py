"""Running one process on a terminal host, as `wippy run NAME`, `wippy run -x` and `wippy test` do.

Source: manual pages guides/cli and system/terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from wippy.app import App
from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.registry.entry import Entry

__all__ = ["TerminalHost", "execute"]

KIND = "terminal.host"

#: More than any record's level.
_NOTHING = logging.CRITICAL + 1


@runtime_checkable
class TerminalHost(Protocol):
    """What a terminal.host entry brings to life."""

    async def run(self, process: str, args: list[str], **options: Any) -> int:
        """Run a process with the terminal as its input and output; returns its exit code.

        `options` are those of App.spawn. Cancelling it cancels the process.
        """


async def execute(
    app: App,
    process: str,
    args: Sequence[str],
    *,
    host: str | None = None,
    security: dict[str, Any] | None = None,
    console: logging.Handler,
) -> int:
    """Run a process on the terminal host, which is found when there is just one, and return the exit code.

    `console` falls silent when the host has `hide_logs`. Raises Error for a process or a host that does not exist, and
    the Error that the process ends in.
    """
    if app.registry.lookup(process) is None:
        raise Error(f"process {process} not found", NOT_FOUND)
    entry = _host(app, host)
    _check_policies(app, process, security)
    if entry.data.get("hide_logs"):
        console.setLevel(_NOTHING)
    options = {"security": security} if security else {}
    terminal = app.resources.get(entry.id, TerminalHost)  # type: ignore[type-abstract]
    code = await terminal.run(process, list(args), **options)
    # The operating system keeps eight bits: 256 must not become success.
    return code if 0 <= code <= 255 else 1


def _host(app: App, wanted: str | None) -> Entry:
    hosts = app.registry.find({".kind": KIND})
    if wanted is not None:
        found = next((host for host in hosts if host.id == wanted), None)
        if found is None:
            raise Error(f'--host "{wanted}": there is no entry of kind {KIND} with this id', NOT_FOUND)
        return found
    if not hosts:
        raise Error(f"no terminal host found: add an entry of kind {KIND} with lifecycle.auto_start: true", NOT_FOUND)
    if len(hosts) > 1:
        raise Error(f"there are several terminal hosts: choose with --host: {', '.join(h.id for h in hosts)}", INVALID)
    return hosts[0]


def _check_policies(app: App, process: str, security: dict[str, Any] | None) -> None:
    """Refuse to start with less of a scope than declared."""
    missing = [policy for policy in (security or {}).get("policies", ()) if app.registry.lookup(policy) is None]
    if missing:
        where = app.registry.get(process).where("meta")
        raise Error(f"{where}: meta.command.security: policy {', '.join(missing)} not found", NOT_FOUND)
