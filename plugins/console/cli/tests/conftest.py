"""The command line inside the test's own process, with a terminal host that needs no terminal."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import ClassVar

import pytest
from click.testing import CliRunner

from wippy.__main__ import command_group
from wippy.errors import Error
from wippy.kind import Kind
from wippy.plugin import EntryPoint, Plugins, scan


class Terminal:
    """Runs processes as the terminal plugin does, and remembers with which arguments and options."""

    runs: ClassVar[list[tuple]] = []

    def __init__(self, app, host_id):
        self.app, self.id = app, host_id

    async def run(self, process, args, **options):
        Terminal.runs.append((process, args, dict(options)))
        node = self.app.node
        node.add_host(self.id, workers=node.ensure_threads(1))
        options.pop("security", None)
        pid, end = await node.spawn_watched(process, self.id, *args, **options)
        try:
            exit = await asyncio.shield(end)
        except asyncio.CancelledError:
            await node.cancel(pid, "interrupted")
            exit = await end
            if exit.value is None:
                raise
        if exit.error is not None:
            raise Error.of(exit.error)
        return exit.value if isinstance(exit.value, int) else 0


class TerminalKind(Kind):
    open_data = True

    async def add(self, entry, config):
        self.app.resources.put(entry.id, Terminal(self.app, entry.id))

    async def delete(self, entry):
        self.app.resources.remove(entry.id)


@pytest.fixture
def points(monkeypatch):
    fake = types.ModuleType("fake_terminal")
    fake.kind = TerminalKind
    monkeypatch.setitem(sys.modules, "fake_terminal", fake)
    monkeypatch.setattr(Terminal, "runs", [])
    others = [point for point in scan() if point.name != "terminal.host"]
    return [*others, EntryPoint("wippy.kinds", "terminal.host", "fake_terminal:kind", "fake-terminal", "1.0")]


@pytest.fixture
def runs(points):
    """What ran on the terminal host: (process, arguments, options)."""
    return Terminal.runs


@pytest.fixture
def wippy(points, tmp_path, monkeypatch):
    """Run the command line in the test's directory; an Error comes out as an exception of the result."""
    monkeypatch.chdir(tmp_path)
    interval = sys.getswitchinterval()

    def invoke(*arguments, **options):
        plugins = Plugins(points)
        return CliRunner().invoke(command_group(plugins), arguments, obj=plugins, **options)

    yield invoke
    sys.setswitchinterval(interval)
