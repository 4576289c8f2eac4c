"""Reading and writing without making anybody else wait."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from wippy.errors import INTERNAL, Error
from wippy_plugin_terminal.streams import Input, Output


class Pipe:
    """Both ends of a pipe as unbuffered files."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.reader: BinaryIO = open(reader, "rb", buffering=0)  # noqa: SIM115
        self.writer: BinaryIO = open(writer, "wb", buffering=0)  # noqa: SIM115

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


async def lines(source: Input) -> list[bytes]:
    found = []
    while (line := await source.readline()) is not None:
        found.append(line)
    return found


TEXT = b"one\r\ntwo\n\nlast"


async def test_lines_from_memory_a_file_and_a_pipe(tmp_path: Path, pipe: Pipe):
    path = tmp_path / "input"
    path.write_bytes(TEXT)
    pipe.writer.write(TEXT)
    pipe.writer.close()
    with path.open("rb") as file:
        for source in (io.BytesIO(TEXT), file, pipe.reader):
            assert await lines(Input(source)) == [b"one", b"two", b"", b"last"]


async def test_a_device_that_is_always_ready():
    with open(os.devnull, "rb") as file:
        assert await Input(file).readline() is None
        assert await Input(file).read(10) is None


async def test_reading_waits_for_what_comes(pipe: Pipe):
    source = Input(pipe.reader)
    line = asyncio.ensure_future(source.readline())
    pipe.writer.write(b"be")
    await asyncio.wait([line], timeout=0)
    assert not line.done()
    pipe.writer.write(b"gun\nrest")
    assert await line == b"begun"
    assert (await source.read(2), await source.read(100)) == (b"re", b"st")


async def test_a_cancelled_read_loses_nothing(pipe: Pipe):
    source = Input(pipe.reader)
    read = asyncio.ensure_future(source.readline())
    pipe.writer.write(b"kept ")
    await asyncio.wait([read], timeout=0)
    read.cancel()
    await asyncio.wait([read])
    pipe.writer.write(b"whole\n")
    assert await source.readline() == b"kept whole"


async def test_reading_what_cannot_be_read(tmp_path: Path):
    with (tmp_path / "output").open("wb") as file, pytest.raises(Error, match="cannot read standard input") as caught:
        await Input(file).read(1)
    assert caught.value.kind == INTERNAL


async def test_a_full_pipe_stops_only_the_writer(pipe: Pipe):
    output = Output(pipe.writer)
    much = b"x" * 300_000
    first, second = asyncio.ensure_future(output.write(much)), asyncio.ensure_future(output.write(b"end"))
    reader = Input(pipe.reader)
    got = b""
    while not got.endswith(b"end"):
        got += await reader.read(100_000) or b""
    await asyncio.gather(first, second)
    assert got == much + b"end"


async def test_writing_to_nobody():
    pipe = Pipe()
    pipe.reader.close()
    with pytest.raises(Error, match="cannot write output") as caught:
        await Output(pipe.writer).write(b"x")
    assert caught.value.kind == INTERNAL
    pipe.close()


async def test_writing_to_a_closed_file():
    file = io.BytesIO()
    file.close()
    with pytest.raises(Error, match="cannot write output"):
        await Output(file).write(b"x")
