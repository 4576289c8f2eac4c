"""Forms with files: multipart/form-data parsed as it arrives, large files spilled to disk."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from wippy.errors import INVALID, Error

__all__ = ["Form", "Upload", "parse_form"]

#: Most parts of one form, and most bytes of one value that is no file.
MOST_PARTS = 1000
LARGEST_VALUE = 10 * 1024 * 1024


class Upload:
    """A file of a form; in memory up to a limit, then on disk."""

    def __init__(self, name: str, filename: str, headers: dict[str, str], memory: int) -> None:
        self.name = name
        self.filename = filename
        self.headers = headers
        self.size = 0
        # 0 would mean that it never goes to disk.
        self._file = tempfile.SpooledTemporaryFile(max_size=max(memory, 1))  # noqa: SIM115

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)

    def read(self, position: int, size: int) -> bytes:
        """Return up to `size` bytes from `position` on, all that follows for 0."""
        self._file.seek(position)
        return self._file.read(size or -1)

    def close(self) -> None:
        self._file.close()


class Form:
    """What was parsed: values by name, and files in the order they came."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.uploads: list[Upload] = []

    def described(self) -> dict[str, Any]:
        """Return the form as the module takes it: several values of a name are joined with commas, as in a query."""
        files: dict[str, list[dict[str, Any]]] = {}
        for index, upload in enumerate(self.uploads):
            record = {"index": index, "name": upload.filename, "size": upload.size, "headers": upload.headers}
            files.setdefault(upload.name, []).append(record)
        return {"values": {name: ",".join(values) for name, values in self.values.items()}, "files": files}


class _Builder:
    """The parser's callbacks."""

    def __init__(self, memory: int) -> None:
        self.form = Form()
        self.complete = False
        self._memory = memory
        self._headers: dict[str, str] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._value: bytearray | None = None
        self._upload: Upload | None = None
        self._name = ""
        self._parts = 0

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Error(f"form has more than {MOST_PARTS} parts", INVALID, retryable=False)
        self._headers = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[_text(self._header_name).lower()] = _text(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        if b"name" not in options:
            raise Error("a part of the form has no name (Content-Disposition)", INVALID, retryable=False)
        self._name = _text(options[b"name"])
        if b"filename" in options:
            used = sum(upload.size for upload in self.form.uploads)
            self._upload = Upload(self._name, _text(options[b"filename"]), self._headers, self._memory - used)
            self.form.uploads.append(self._upload)
        else:
            self._value = bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._upload is not None:
            self._upload.write(data[start:end])
        elif self._value is not None:
            self._value += data[start:end]
            if len(self._value) > LARGEST_VALUE:
                raise Error(f'form value "{self._name}" has more than {LARGEST_VALUE} bytes', INVALID, retryable=False)

    def on_part_end(self) -> None:
        if self._value is not None:
            self.form.values.setdefault(self._name, []).append(_text(self._value))
        self._value = self._upload = None

    def on_end(self) -> None:
        self.complete = True


def _text(data: bytes | bytearray) -> str:
    return bytes(data).decode("utf-8", "replace")


async def parse_form(read: Callable[[], Awaitable[bytes]], content_type: bytes, memory: int) -> Form:
    """Parse a form; `read` gives its next bytes, empty at the end. Files together keep `memory` bytes off the disk.

    Raises Error(Invalid) for a form that is malformed or cut off.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Error("Content-Type has no boundary: the form cannot be read", INVALID, retryable=False)
    builder = _Builder(memory)
    names = (
        "part_begin",
        "header_field",
        "header_value",
        "header_end",
        "headers_finished",
        "part_data",
        "part_end",
        "end",
    )
    try:
        callbacks: Any = {f"on_{n}": getattr(builder, f"on_{n}") for n in names}
        parser = MultipartParser(boundary, callbacks)
        while chunk := await read():
            parser.write(chunk)
        if not builder.complete:
            raise Error("the form ends in the middle", INVALID, retryable=False)
    except BaseException as problem:
        for upload in builder.form.uploads:
            upload.close()
        if isinstance(problem, MultipartParseError):
            raise Error(f"malformed form: {problem}", INVALID, retryable=False) from None
        raise
    return builder.form
