"""The commands behind the Lua module `io`. Which terminal a process has follows from the host in its pid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wippy.scheduler.commands import Call, Command
from wippy_plugin_terminal.host import TerminalHost
from wippy_plugin_terminal.session import Session

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


def commands(app: App) -> Mapping[str, Command]:
    """Return the handlers; all but `io.open` are for processes on terminal hosts."""

    def session(call: Call) -> Session:
        return app.resources.get(_host_of(call.pid), TerminalHost).session(call.pid)

    async def open_terminal(call: Call) -> list[str] | None:
        host = app.resources.all(TerminalHost).get(_host_of(call.pid))
        return (await host.open(call.pid)).args if host else None

    async def write(call: Call, text: bytes | str, to_errors: bool) -> bool:
        terminal = session(call)
        data = text.encode() if isinstance(text, str) else text
        await (terminal.errors if to_errors else terminal.output).write(data)
        return True

    async def flush(call: Call) -> bool:
        await session(call).output.flush()
        return True

    async def read(call: Call, most: int) -> bytes | None:
        return await session(call).read(most)

    async def readline(call: Call) -> bytes | None:
        return await session(call).readline()

    async def raw(call: Call, enable: bool) -> bool:
        session(call).set_raw(enable)
        return True

    return {
        "io.open": open_terminal,
        "io.write": write,
        "io.flush": flush,
        "io.read": read,
        "io.readline": readline,
        "io.raw": raw,
    }


def _host_of(pid: str) -> str:
    """Return the host's id of a pid, `{host|0x00001}`."""
    return pid[1:].rpartition("|")[0]
