"""The Lua module io on a terminal host, with streams of our own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import termios
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wippy.app import App
from wippy.errors import CONFLICT, INVALID, NOT_FOUND, RATE_LIMITED, UNAVAILABLE, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.testing import app_of, function, host, process, run_lua
from wippy_plugin_terminal import Streams, TerminalHost

TERMINAL = Entry("app:terminal", "terminal.host", data={"lifecycle": {"stop_timeout": "5s"}})


class Screen:
    """What a program reads and writes."""

    def __init__(self, text: bytes = b"") -> None:
        self.streams = Streams(io.BytesIO(text), io.BytesIO(), io.BytesIO())

    @property
    def output(self) -> str:
        return self.streams.stdout.getvalue().decode()  # type: ignore[attr-defined]

    @property
    def errors(self) -> str:
        return self.streams.stderr.getvalue().decode()  # type: ignore[attr-defined]


def program(body: str, modules: tuple[str, ...] = ("io",)) -> Entry:
    return process("app:cli", f'local io = require("io")\nreturn {{ main = function() {body}\nend }}', modules)


@contextlib.asynccontextmanager
async def terminal(body: str, streams: Streams, *entries: Entry, **options: Any) -> AsyncIterator[TerminalHost]:
    async with app_of(TERMINAL, program(body), *entries, **options) as app:
        found = app.resources.get("app:terminal", TerminalHost)
        found.streams = streams
        yield found


async def run(body: str, text: bytes = b"", args: list[str] | None = None, **options: Any) -> tuple[int, Screen]:
    screen = Screen(text)
    async with terminal(body, screen.streams, **options) as host:
        return await host.run("app:cli", args or []), screen


@pytest.mark.parametrize("virtual", [True, False])
async def test_hello(virtual: bool):
    code, screen = await run(
        """
        io.write("Enter ", "your name: ")
        local name = io.readline()
        local seen = {io.print("Hello,", name, 1, 2.0, nil, true), io.eprint("done", #name), io.flush()}
        return (seen[1] and seen[2] and seen[3]) and 0 or 1
        """,
        b"Ada\r\nrest",
        virtual=virtual,
    )
    assert (code, screen.output, screen.errors) == (0, "Enter your name: Hello,\tAda\t1\t2\tnil\ttrue\n", "done\t3\n")


async def test_reading_to_the_end():
    _, screen = await run(
        """
        io.print(io.read(2), io.read(0), io.read(5))
        local line, err = io.readline()
        io.print(line, err)
        """,
        b"abcdef\n",
    )
    assert screen.output == "ab\tcdef\n\tnil\nnil\tnil\n"


async def test_bytes_pass_unchanged():
    screen = Screen(b"\xff\x00\xfe\n")
    async with terminal("io.write(io.readline())", screen.streams) as host:
        await host.run("app:cli")
    assert screen.streams.stdout.getvalue() == b"\xff\x00\xfe"  # type: ignore[attr-defined]


async def test_arguments():
    body = """local args = io.args()
      args[#args + 1] = "mine"
      io.print(#args, table.concat(args, " "), #io.args())"""
    _, screen = await run(body, args=["a", "--b=c d"])
    assert screen.output == "3\ta --b=c d mine\t2\n"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("return 0", 0),
        ("return 3", 3),
        ("return 2.0", 2),
        ("", 0),
        ("return true", 0),
        ("return 1/0", 0),
        ('return "text"', 0),
    ],
)
async def test_exit_code(end: str, code: int):
    found, _ = await run(end)
    assert found == code


async def test_the_error_of_a_program_is_raised():
    with pytest.raises(Error, match="boom"):
        await run('error("boom")')
    with pytest.raises(Error, match="taken") as caught:
        await run('return nil, errors.new({message = "taken", kind = errors.CONFLICT})')
    assert caught.value.kind == CONFLICT


async def test_a_process_that_does_not_exist_leaves_the_terminal_free():
    screen = Screen()
    async with terminal('io.print("ran")', screen.streams) as host:
        with pytest.raises(Error) as caught:
            await host.run("app:none")
        assert caught.value.kind == NOT_FOUND
        assert (await host.run("app:cli"), screen.output) == (0, "ran\n")


async def test_one_process_at_a_time_and_programs_one_after_the_other():
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as stdin, open(writer, "wb", buffering=0) as typed:
        streams = Streams(stdin, io.BytesIO(), io.BytesIO())
        body = 'io.print("ready") io.print(io.readline())'
        async with terminal(body, streams) as host:
            first = asyncio.ensure_future(host.run("app:cli"))
            await shown(streams, "ready\n")
            with pytest.raises(Error) as caught:
                await host.run("app:cli")
            assert caught.value.kind == RATE_LIMITED
            typed.write(b"one\n")
            await first
            typed.write(b"two\n")
            await host.run("app:cli")
    assert streams.stdout.getvalue() == b"ready\none\nready\ntwo\n"  # type: ignore[attr-defined]


async def shown(streams: Streams, text: str) -> None:
    """Wait until a program has written something."""
    while text.encode() not in streams.stdout.getvalue():  # type: ignore[attr-defined]
        await asyncio.sleep(0)


async def test_while_one_waits_for_input_others_run():
    body = """
      coroutine.spawn(function() io.print("meanwhile", (funcs.call("app:f"))) end)
      io.print(io.readline())"""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as stdin, open(writer, "wb", buffering=0) as typed:
        streams = Streams(stdin, io.BytesIO(), io.BytesIO())
        async with terminal(body, streams, function("app:f", "return function() return 7 end")) as host:
            end = asyncio.ensure_future(host.run("app:cli"))
            await shown(streams, "meanwhile\t7\n")
            typed.write(b"typed\n")
            assert await end == 0
    assert streams.stdout.getvalue() == b"meanwhile\t7\ntyped\n"  # type: ignore[attr-defined]


# Ctrl-C ---------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def waiting(body: str) -> AsyncIterator[tuple[asyncio.Future[int], Streams]]:
    """Run a program until it has printed "ready"; nothing is ever typed."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as stdin, open(writer, "wb", buffering=0):
        streams = Streams(stdin, io.BytesIO(), io.BytesIO())
        async with terminal(body, streams) as host:
            end = asyncio.ensure_future(host.run("app:cli"))
            await shown(streams, "ready\n")
            yield end, streams


async def test_a_cancelled_program_answers_with_its_code():
    body = """io.print("ready")
      local event = process.events():receive()
      io.print(event.kind, event.reason)
      return 4"""
    async with waiting(body) as (end, streams):
        end.cancel()
        assert await end == 4
    assert streams.stdout.getvalue() == b"ready\npid.cancel\tinterrupted\n"  # type: ignore[attr-defined]


async def test_reading_fails_when_the_program_is_cancelled():
    body = """io.print("ready")
      local line, err = io.readline()
      local _, again = io.read()
      io.eprint(line, err:kind(), again:kind())
      return 5"""
    async with waiting(body) as (end, streams):
        end.cancel()
        assert await end == 5
    assert streams.stderr.getvalue() == b"nil\tCanceled\tCanceled\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body",
    ['io.print("ready") channel.new():receive()', 'io.print("ready") process.events():receive() error("no")'],
)
async def test_a_program_that_does_not_answer_is_ended(body: str):
    async with waiting("process.events() " + body) as (end, _):
        end.cancel()
        with pytest.raises(asyncio.CancelledError):
            await end


async def test_a_second_cancellation_ends_it_at_once():
    async with waiting('process.events() io.print("ready") channel.new():receive()') as (end, _):
        end.cancel()
        await asyncio.wait([end], timeout=0)
        end.cancel()
        with pytest.raises(asyncio.CancelledError):
            await end


async def test_the_host_ends_what_runs_when_it_stops():
    streams = Screen().streams
    body = 'io.print("ready") process.events():receive() io.print("stopped") return 6'
    async with terminal(body, streams) as host:
        end = asyncio.ensure_future(host.run("app:cli"))
        await shown(streams, "ready\n")
    assert await end == 6
    assert streams.stdout.getvalue() == b"ready\nstopped\n"  # type: ignore[attr-defined]


# Raw mode -------------------------------------------------------------------------------------------------------------


def cooked(descriptor: int) -> bool:
    flags = termios.tcgetattr(descriptor)[3]
    return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)


async def test_raw_mode_counts_and_ends_with_the_program():
    master, slave = os.openpty()
    with open(master, "rb", buffering=0), open(slave, "rb", buffering=0) as stdin:
        streams = Streams(stdin, io.BytesIO(), io.BytesIO())
        body = """
          assert(io.raw() and io.raw(true) and io.raw(false))
          io.print("raw")
          io.read(1)
          assert(io.raw(false) and io.raw(false))
          io.print("cooked")
          io.readline()
          assert(io.raw(true))"""
        async with terminal(body, streams) as host:
            end = asyncio.ensure_future(host.run("app:cli"))
            await shown(streams, "raw\n")
            seen = [cooked(slave)]
            os.write(master, b"x")  # no line end: raw mode hands it over all the same
            await shown(streams, "cooked\n")
            seen.append(cooked(slave))
            os.write(master, b"line\n")
            await end
            assert [*seen, cooked(slave)] == [False, True, True]


async def test_raw_mode_needs_a_terminal():
    _, screen = await run("local ok, err = io.raw() io.print(ok, err:kind(), err)")
    assert screen.output == "nil\tUnavailable\tstandard input is no terminal\n"


# Without a terminal -----------------------------------------------------------------------------------------------------


async def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if getattr(r, "wippy", {}).get("logger") == "io"]


async def test_a_function_writes_to_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "wippy"):
        result = await run_lua(
            """
            local io = require("io")
            local seen = {io.write("a", 1), io.print("b", 2), io.eprint("c"), io.print(), io.flush(), #io.args()}
            for _, name in ipairs({"read", "readline", "raw"}) do
              local _, err = io[name]()
              seen[#seen + 1] = err:kind()
            end
            return seen
            """,
            modules=["io"],
        )
    assert result == [True, True, True, True, True, 0, *[UNAVAILABLE] * 3]
    assert await logged(caplog) == [("INFO", "a1"), ("INFO", "b\t2"), ("WARNING", "c")]


async def test_a_process_on_another_host_writes_to_the_log(caplog: pytest.LogCaptureFixture):
    async with app_of(program('io.print("there") return io.readline()'), host()) as app:
        with caplog.at_level(logging.INFO, "wippy"):
            _, end = await app.node.spawn_watched("app:cli", "app:processes")
            error = (await end).error
    assert error is not None
    assert error.kind == UNAVAILABLE
    assert "app:cli does not run on a terminal.host" in str(error)
    assert await logged(caplog) == [("INFO", "there")]


async def test_read_needs_a_number():
    with pytest.raises(Error) as caught:
        await run_lua('return require("io").read("all")', modules=["io"])
    assert caught.value.kind == INVALID


# Other ways to the terminal ---------------------------------------------------------------------------------------------


async def test_a_process_that_was_spawned_on_the_host_has_the_terminal():
    screen = Screen(b"typed\n")
    spawn = function(
        "app:spawn",
        """return function()
          process.spawn_monitored("app:cli", "app:terminal")
          local _, err = process.spawn("app:cli", "app:terminal")
          process.events():receive()
          return err:kind()
        end""",
    )
    started = Entry("app:terminal", "terminal.host", data={"lifecycle": {"auto_start": True}, "hide_logs": True})
    async with app_of(started, program("io.print(io.readline(), #io.args())"), spawn) as app:
        found = app.resources.get("app:terminal", TerminalHost)
        found.streams = screen.streams
        assert await app.call("app:spawn") == RATE_LIMITED
        assert await app.call("app:spawn") == RATE_LIMITED
        assert found.hide_logs
    assert screen.output == "typed\t0\nnil\t0\n"


async def test_an_entry_that_goes_stops_the_host():
    async with app_of(TERMINAL, program("return 0")) as app:
        await change(app, Op.DELETE)
        with pytest.raises(Error, match="not found"):
            await app.spawn("app:cli", "app:terminal")
        await change(app, Op.CREATE)
        assert await app.resources.get("app:terminal", TerminalHost).run("app:cli") == 0


async def change(app: App, op: Op) -> None:
    await app.registry.apply([Operation(op, TERMINAL)])
